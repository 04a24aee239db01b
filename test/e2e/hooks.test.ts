import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBus } from '../../contracts/lib/nats.ts';
import { requestStatus } from '../../services/cli/commands/status.ts';
import { Cluster, HOOK_SECRET } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { collectFiles, collectWorkflows } from '../support/evidence.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SecretFinder } from '../support/secret-finder.ts';
import { until } from '../support/until.ts';

/** A group's hooks and wrappers: from baton.yaml to the job, and back to the status and the metrics. */
let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local'],
    config: `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - name: wrapped
    organization: acme
    labels: [wrapped]
    backend: local
    runner: { directory: ROOT/runner }
    env: { PLAIN: 'yes', TOKEN: '\${E2E_HOOK_SECRET}' }
    path: [/opt/of-the-group]
    notice: this pool goes away on 1 May, use linux-v2
    hooks: { timeout: 1m }
    wrappers: [resource-usage, { uses: ROOT/greet, with: { who: world, key: '\${E2E_HOOK_SECRET}' } }]
`,
  });
  sim = new SimControl(cluster.sim.address);
  const greet = join(cluster.dir, 'greet');
  mkdirSync(greet);
  writeFileSync(join(greet, 'action.yml'), 'runs:\n  using: sh\n  main: main.sh\n  post: post.sh\n');
  writeFileSync(join(greet, 'main.sh'), 'echo "GREETED=hello $INPUT_WHO with ${#INPUT_KEY}" >> "$GITHUB_ENV"\n');
  writeFileSync(join(greet, 'post.sh'), 'echo "GREETING OVER"\n');
});
afterAll(async () => {
  await cluster?.stop();
});

describe('a group with hooks and wrappers', () => {
  it('applies its settings and wrappers, shows the resources used, and stores its secrets nowhere else', async () => {
    await sim.push(`
name: demo
on: push
jobs:
  build:
    runs-on: wrapped
    steps: [{ run: 'echo "$GREETED|$PLAIN|\${#TOKEN}|\${PATH%%:*}"; until [ "$(cat "$(dirname "$BATON_HOOKS")"/samples-*.jsonl | wc -l)" -ge 3 ]; do sleep 0.2; done' }]
`);
    const [job] = await sim.untilCompleted();
    expect(job?.conclusion).toBe('success');
    const { sim: simulator } = cluster.sim;
    const [seen] = simulator.state.jobs.values();
    const log = seen?.steps.flatMap((step) => step.log).join('\n');
    expect(log).toContain(`hello world with ${HOOK_SECRET.length}|yes|${HOOK_SECRET.length}|/opt/of-the-group`);
    expect(log).toContain('GREETING OVER');
    expect(seen?.annotations).toContainEqual({
      level: 'notice',
      message: 'this pool goes away on 1 May, use linux-v2',
    });
    expect(seen?.summary).toContain('### What this job used');
    await expectNothingLeft(cluster);

    const handle = cluster.client.workflow.getHandle(`runner/wrapped/${job?.runner}`);
    const shown = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
    expect(shown).toMatch(/\*\*CPU:\*\* \| [\d.]+ of [\d.]+ cores, peak/);
    expect(shown).toContain('hook: job used ');

    const bus = await connectBus({
      url: cluster.nats.url,
      name: 'test',
      credentialsFile: cluster.operator.credentials.observer,
    });
    try {
      const used = await until(async () => {
        const { runners } = await requestStatus(bus, 5000);
        const found = runners.find(({ name }) => name === job?.runner)?.resources;
        expect(found).toMatch(/cores \(peak .*\), over \d+s/);
        return found;
      });
      expect(used).toContain(' of ');
    } finally {
      await bus.close();
    }

    const metrics = await (await fetch(`${cluster.getUrl('relay-1')}/metrics`)).text();
    expect(metrics).toMatch(/^baton_job_cpu_cores_count\{.*group="wrapped",statistic="average".*\} 1$/m);
    expect(metrics).toMatch(/^baton_job_moved_bytes_total\{.*group="wrapped",way="written".*\} \d+$/m);

    const finder = new SecretFinder({ hook: HOOK_SECRET });
    for (const { where, content } of [...(await collectWorkflows(cluster)), ...collectFiles(cluster)]) {
      expect(finder.findIn(content).map((what) => `${what} in ${where}`)).toEqual([]);
    }
    expect(finder.findIn(log ?? '')).toEqual([]);
  });
});
