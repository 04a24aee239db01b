import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { delegationWorkflowId, proxiesWorkflowId } from '../../../contracts/workflows/delegation.ts';
import { createTokenKey, signWithCredential, verifyToken } from '../../../contracts/lib/proxy-token.ts';
import { auditEntry } from '../../../contracts/messages/audit.ts';
import { untilExists } from '../../support/held-script.ts';
import type { SimJob } from '../../support/simulator-control.ts';
import { expectNothingLeft } from '../../support/leftovers.ts';
import { recordHistory } from '../../support/histories.ts';
import { until } from '../../support/until.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';

/**
 * A delegation from its hand-over to its end, with real servers, services and runners. The test plays only the proxies.
 */

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));

let world: DelegationWorld;
beforeAll(async () => {
  world = await startDelegationWorld();
}, 180_000);
/**
 * Names of the histories to record, by delegation. The replay test checks later versions of the workflows against them.
 */
const shapes = new Map<string, string>();
afterAll(async () => {
  if (process.env['BATON_RECORD'] !== undefined) {
    const { client } = world.cluster;
    for (const [id, shape] of shapes) await recordHistory(client, { workflowId: delegationWorkflowId(id) }, shape);
    await recordHistory(client, { workflowId: proxiesWorkflowId('ephemeral') }, 'proxies-back');
  }
  await world?.cluster.stop();
});

const LONG = { timeout: 120_000 };

async function waitForResult(id: string): Promise<unknown> {
  const handle = world.cluster.client.workflow.getHandle(delegationWorkflowId(id));
  // The proxy gets its answer before the relay has started the workflow.
  await until(() => handle.describe());
  return await handle.result();
}

/** Runs `baton …` as a process. @returns its output */
async function baton(...args: string[]): Promise<string> {
  const env = { ...process.env, BATON_NATS_CREDENTIALS: world.cluster.operator.credentials.observer };
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args], { env, cwd: world.dir });
  return stdout;
}

/** A label that no ephemeral runner has: the test decides who takes these jobs. */
const UNSERVED_LABEL = 'unserved';

describe('delegation', () => {
  it('a job that a proxy hands over fails there and then runs once on an ephemeral runner', LONG, async () => {
    const [job = 0] = await world.sim.jobs({ labels: [LABEL], run: 'echo really ran' });
    const taken = await world.take(job, 'proxy-a');
    const id = await world.handOver(taken, 'proxy-a');
    expect(await waitForResult(id)).toMatchObject({ status: 'completed', conclusion: 'success' });
    shapes.set(id, 'delegation-whole');

    const attempts = await world.findAttempts(taken.runId);
    expect(attempts.map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
    expect(attempts[1]?.runner).toMatch(new RegExp(`^${world.cluster.installation}-ephemeral-`));
    await until(async () => {
      expect(await world.get(id, 'proxy-a')).toMatchObject({
        status: 'completed',
        conclusion: 'success',
        forgeJobId: attempts[1]?.id,
        runner: attempts[1]?.runner,
        exitCode: 0,
      });
    });
    const delegated = await world.get(id, 'proxy-a');
    expect(delegated.containerId).toBeTruthy();
    expect(delegated.logTail).toContain('completed with result: Succeeded');
    await expectNothingLeft(world.cluster);
  });

  it('the audit stream contains every step once', LONG, async () => {
    // A shorter one may be over before its delegation sees it run.
    const go = join(world.cluster.dir, 'go');
    const [job = 0] = await world.sim.jobs({ labels: [LABEL], run: untilExists(go) });
    const id = await world.handOver(await world.take(job, 'proxy-b'), 'proxy-b');
    await until(async () => expect(await world.get(id, 'proxy-b')).toMatchObject({ status: 'running' }));
    writeFileSync(go, '');
    await waitForResult(id);
    const printed = await baton(
      'audit',
      '--json',
      '--since',
      '1h',
      '--delegation',
      id,
      '--config',
      world.cluster.configFile,
    );
    const lines = printed.trimEnd().split('\n');
    expect(
      lines.map((line) => auditEntry.parse(JSON.parse(line))).map(({ who, action }) => `${who} ${action}`),
    ).toEqual([
      'proxy/proxy-b requested',
      ...['requested', 'found', 'runner-ordered', 're-run', 'running', 'completed'].map((action) => {
        return `delegation/${id} ${action}`;
      }),
    ]);
    const table = await baton('audit', '--repository', 'acme/hello', '--config', world.cluster.configFile);
    expect(table).toMatch(new RegExp(`delegation/${id} +completed +ok +${id} +acme/hello#\\d+ +ran on `));
  });

  it('`baton proxy key`, `token` and `credential` make what the ingress accepts', LONG, async () => {
    const [, publicKey = ''] = /^delegation\.token_keys: (\S+)$/m.exec(await baton('proxy', 'key')) ?? [];
    expect(publicKey).toMatch(/^[\w-]{43}$/);
    const { privateKey, publicKey: own } = createTokenKey();
    process.env['BATON_PROXY_SIGNING_KEY'] = privateKey;
    try {
      const token = (await baton('proxy', 'token', 'proxy-a', '--lifetime', '2h')).trim();
      expect(verifyToken(token, [publicKey], new Date())).toBeUndefined();
      const inAnHour = new Date(Date.now() + 3_600_000);
      expect(verifyToken(token, [publicKey, own], inAnHour)).toMatchObject({ proxy: 'proxy-a' });
      expect(verifyToken(token, [own], new Date(Date.now() + 3 * 3_600_000))).toBeUndefined();
      await expect(baton('proxy', 'token', 'proxy-a', '--lifetime', '25h')).rejects.toThrow('at most 24h');
      const credential = await baton('proxy', 'credential', 'proxy-a');
      const later = new Date(Date.now() + 360 * 86_400_000);
      expect(verifyToken(signWithCredential(credential, later).token, [own], later)).toMatchObject({
        proxy: 'proxy-a',
        scopes: ['delegate'],
      });
    } finally {
      delete process.env['BATON_PROXY_SIGNING_KEY'];
    }
  });

  it('a delegated job that fails ends its delegation as failed, and is not run a third time', LONG, async () => {
    const [job = 0] = await world.sim.jobs({ labels: [LABEL], run: 'exit 3' });
    const taken = await world.take(job, 'proxy-a');
    const id = await world.handOver(taken, 'proxy-a');
    expect(await waitForResult(id)).toMatchObject({ status: 'failed', conclusion: 'failure' });
    shapes.set(id, 'delegation-failed');
    expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'failure']);
  });

  it('a job that is handed over several times gets one id and is delegated once', LONG, async () => {
    const [job = 0] = await world.sim.jobs({ labels: [LABEL] });
    const taken = await world.take(job, 'proxy-b');
    const answers = await Promise.all([1, 2, 3].map(() => world.delegate(taken, 'proxy-b')));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    await world.sim.complete(job, 'failure');
    await waitForResult(answers[0]?.id ?? '');
    expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
  });

  it('a re-run that a proxy takes is handed on, not delegated twice', LONG, async () => {
    const [job = 0] = await world.sim.jobs({ labels: [UNSERVED_LABEL] });
    const first = await world.take(job, 'proxy-a');
    const id = await world.handOver(first, 'proxy-a');
    const landed = await waitForAttempt(first.runId, 1);
    const landing = await world.handOver(await world.take(landed.id, 'proxy-b'), 'proxy-b', 2);
    expect(landing).not.toBe(id);
    expect(await waitForResult(landing)).toMatchObject({ detail: `handed on to delegation ${id}, whose job this is` });
    const again = await waitForAttempt(first.runId, 2);
    const runner = `${world.cluster.installation}-ephemeral-00000000`;
    await world.sim.start(again.id, runner);
    await until(async () => expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'running', runner }));
    await world.sim.complete(again.id);
    expect(await waitForResult(id)).toMatchObject({ status: 'completed', conclusion: 'success' });
    expect(await world.findAttempts(first.runId)).toHaveLength(3);
    shapes.set(id, 'delegation-landed').set(landing, 'delegation-handed-on');
  });

  it(
    'a cancelled run ends its delegation: nothing is run again, and no runner is requested any more',
    LONG,
    async () => {
      const [job = 0] = await world.sim.jobs({ labels: [UNSERVED_LABEL] });
      const taken = await world.take(job, 'proxy-a');
      const { id } = await world.delegate(taken, 'proxy-a');
      await world.sim.complete(job, 'cancelled');
      expect(await waitForResult(id)).toMatchObject({ status: 'failed', conclusion: 'cancelled' });
      shapes.set(id, 'delegation-cancelled');
      expect(await world.findAttempts(taken.runId)).toHaveLength(1);
      await until(async () => expect(await world.cluster.dispatcher('ephemeral')).toMatchObject({ waiting: 0 }));
    },
  );
});

/** Waits for the job of that run's attempt, counted from 0. */
async function waitForAttempt(run: number, index: number): Promise<SimJob> {
  return await until(async () => {
    const found = (await world.findAttempts(run))[index];
    if (found === undefined) throw new Error(`run ${run} has no attempt ${index + 1} yet`);
    return found;
  });
}
