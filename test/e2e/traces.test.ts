import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { untilExists } from '../support/held-script.ts';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp.ts';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/** The trace of a job, from its webhook to the removal of its runner, as an OpenTelemetry collector receives it. */
let receiver: OtlpReceiver;
let cluster: Cluster;

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local'],
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.address, OTEL_BSP_SCHEDULE_DELAY: '200' },
    config: `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 2, runner: { directory: ROOT/runner } }
`,
  });
});
afterAll(async () => {
  await cluster?.stop();
  await receiver?.stop();
});

/** Its job ends as soon as that file exists. */
const createWorkflow = (go: string): string => `
name: demo
on: push
jobs:
  build:
    runs-on: linux
    steps: [{ run: 'echo building; ${untilExists(go)}; exit 1' }]
`;

/** Phases that a runner may not pass through: the events that begin and end them may arrive in one signal. */
const SKIPPABLE = new Set(['starting', 'idle', 'completing'].map((phase) => `${phase} (orchestrator)`));

/** The spans as an indented tree, without the parts of names that differ from run to run. */
function toTree(spans: ReceivedSpan[], parent: string, depth = 0): string[] {
  const below = spans.filter((span) => (span.parentSpanId || '') === parent);
  const sorted = below.toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)));
  return sorted.flatMap((span) => [
    `${'  '.repeat(depth)}${span.name.replace(/^(runner|run on) \S+$/, '$1 NAME')} (${span.service})`,
    ...toTree(spans, span.spanId, depth + 1),
  ]);
}

describe('traces', () => {
  it('show a job as one trace, from its webhook to the removal of its runner', { timeout: 180_000 }, async () => {
    const sim = new SimControl(cluster.sim.address);
    const go = join(cluster.dir, 'go');
    await sim.push(createWorkflow(go));
    await until(async () => {
      const [id = ''] = await cluster.runners('Running');
      const { searchAttributes } = await cluster.client.workflow.getHandle(id).describe();
      expect(searchAttributes).toMatchObject({ BatonPhase: ['busy'] });
    });
    writeFileSync(go, '');
    await expect.poll(async () => (await sim.allJobs()).map(({ conclusion }) => conclusion)).toEqual(['failure']);
    await expectNothingLeft(cluster);
    await expect
      .poll(() => {
        const lines = toTree(receiver.spans(), '').map((line) => line.trim());
        return new Set(lines.filter((line) => !SKIPPABLE.has(line)));
      })
      .toEqual(
        new Set([
          'demo / build (relay)',
          ...['queued', 'in_progress', 'completed'].flatMap((action) => [
            `webhook ${action} (ingress)`,
            `relay ${action} (relay)`,
          ]),
          'wait for a runner (relay)',
          'run on NAME (relay)',
          'runner NAME (orchestrator)',
          ...['provisioning', 'busy', 'removing'].map((phase) => `${phase} (orchestrator)`),
        ]),
      );
    const spans = receiver.spans();
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    const job = spans.find(({ name }) => name === 'demo / build');
    expect(job?.status).toMatchObject({ code: 2, message: 'failure' });
    expect(job?.attributes).toContainEqual({ key: 'vcs.repository.name', value: { stringValue: 'acme/hello' } });
    const runner = spans.find(({ name }) => name.startsWith('runner '));
    const phases = spans.filter(({ parentSpanId }) => parentSpanId === runner?.spanId);
    expect(phases[0]?.startTimeUnixNano).toBe(runner?.startTimeUnixNano);
    expect(phases.at(-1)?.endTimeUnixNano).toBe(runner?.endTimeUnixNano);
    // Each phase begins when the one before it ends.
    const ends = phases.slice(0, -1).map(({ endTimeUnixNano }) => endTimeUnixNano);
    expect(phases.slice(1).map(({ startTimeUnixNano }) => startTimeUnixNano)).toEqual(ends);
    expect(toTree(spans, '')).toContain('demo / build (relay)');
    expect(toTree(spans, '')).toContain('  runner NAME (orchestrator)');
    expect(toTree(spans, '')).toContain('    busy (orchestrator)');
    expect(toTree(spans, '')).toContain('    relay queued (relay)');
  });
});
