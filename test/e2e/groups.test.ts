import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { untilExists } from '../support/held-script.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { findGuardedProgram } from '../support/guarded-program.ts';
import { SimControl } from '../support/simulator-control.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/** Groups that change while jobs run, and the commands for groups: two copies of each service, the real command line. */

// Each `baton …` is a process of its own, which takes seconds on a loaded machine.
vi.setConfig({ testTimeout: 300_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local', 'small'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
backends:
  local: { type: local, root: ROOT/local }
  small: { type: local, root: ROOT/local, max: 2 }
groups:
  - { name: old, organization: acme, labels: [move], backend: local, max: 1, runner: { directory: ROOT/runner } }
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 4, runner: { directory: ROOT/runner } }
  - { name: first, organization: acme, labels: [first], backend: small, max: 4, runner: { directory: ROOT/runner } }
  - { name: second, organization: acme, labels: [second], backend: small, max: 4, priority: 1, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

/** Runs `baton …` with that credential. */
async function baton(role: 'admin' | 'observer', ...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await runBaton(cluster, role, args);
  return { code, output: stdout + stderr };
}

/** A job's script that runs until {@link releaseJobs}. */
const createHeldScript = (): string => untilExists(join(cluster.dir, 'go'));
const releaseJobs = (): void => writeFileSync(join(cluster.dir, 'go'), '');

function edit(change: (text: string) => string): void {
  writeFileSync(cluster.configFile, change(readFileSync(cluster.configFile, 'utf8')));
}

describe('a changed configuration', () => {
  it('renames a group: its running job continues, its waiting jobs move, no job runs twice', async () => {
    const ids = await sim.jobs({ count: 4, labels: ['move'], run: createHeldScript() });
    await until(async () => expect(await cluster.dispatcher('old')).toMatchObject({ busy: 1, waiting: 3 }));
    edit((text) =>
      text.replace(
        'name: old, organization: acme, labels: [move], backend: local, max: 1',
        'name: new, organization: acme, labels: [move], backend: local, max: 2',
      ),
    );
    const { code, output } = await baton('admin', 'apply', cluster.configFile);
    expect(output).toContain('applied, 4 groups');
    expect(code).toBe(0);
    for (const service of ['relay', 'orchestrator'] as const) {
      expect(output.split('\n').filter((line) => line.startsWith(service)).length).toBeGreaterThan(0);
      // A busy one may reply later than the command waits for.
      for (const name of cluster.listCopies(service))
        await until(() =>
          expect(readFileSync(join(cluster.dir, 'logs', `${name}.log`), 'utf8')).toMatch(
            /"groups":4.*configuration read again/,
          ),
        );
    }
    await until(async () => expect(await cluster.dispatcher('new')).toMatchObject({ busy: 2, waiting: 1 }));
    expect(await cluster.dispatcher('old')).toMatchObject({ removed: true, busy: 1, waiting: 0 });
    expect((await baton('observer', 'status')).output).toMatch(/old .*removed, draining/);
    releaseJobs();
    const jobs = await sim.untilCompleted(ids);
    expect(jobs.map(({ conclusion }) => conclusion)).toEqual(ids.map(() => 'success'));
    const groups = jobs.map(({ runner }) => (runner?.includes('-old-') ? 'old' : 'new')).toSorted();
    expect(groups).toEqual(['new', 'new', 'new', 'old']);
    await cluster.client.workflow.getHandle(dispatcherWorkflowId('old')).result();
    await expectNothingLeft(cluster);
  });

  it('adds a group after SIGHUP', async () => {
    edit(
      (text) =>
        `${text.trimEnd()}\n  - { name: fresh, organization: acme, labels: [fresh], backend: local, runner: { directory: ${join(cluster.dir, 'runner')} } }\n`,
    );
    for (const service of ['relay', 'orchestrator'] as const) {
      for (const name of cluster.listCopies(service))
        process.kill(findGuardedProgram(cluster.services.get(name)), 'SIGHUP');
    }
    await until(async () => expect(await cluster.dispatcher('fresh')).toMatchObject({ waiting: 0 }));
    const logs = [...cluster.listCopies('relay'), ...cluster.listCopies('orchestrator')].map((name) =>
      join(cluster.dir, 'logs', `${name}.log`),
    );
    await until(() => {
      for (const log of logs) expect(readFileSync(log, 'utf8')).toMatch(/"groups":5.*configuration read again/);
    });
    const [job] = await sim.untilCompleted(await sim.jobs({ labels: ['fresh'], run: 'true' }));
    expect(job).toMatchObject({ conclusion: 'success', runner: expect.stringContaining('-fresh-') });
  });

  it('changes nothing when the file is invalid, and names the line', async () => {
    const good = readFileSync(cluster.configFile, 'utf8');
    edit((text) => text.replace('max: 4', 'max: many'));
    try {
      const { code, output } = await baton('admin', 'apply', cluster.configFile);
      expect(output).toMatch(/baton\.yaml:\d+:\d+: groups\[1\]\.max/);
      expect(code).toBe(1);
    } finally {
      writeFileSync(cluster.configFile, good);
    }
    expect((await cluster.dispatcher('linux')).settings.max).toBe(4);
  });

  it('and the mode of a group cannot be set with the observer’s credential', async () => {
    const { code, output } = await baton('observer', 'pause', 'linux');
    expect(code).toBe(1);
    expect(output).toContain('BUS_');
    expect((await cluster.dispatcher('linux')).mode).toBe('active');
  });
});

describe('the commands for groups', () => {
  it('pause and resume a group', async () => {
    expect(await baton('admin', 'pause', 'linux')).toMatchObject({
      code: 0,
      output: expect.stringContaining('paused'),
    });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ mode: 'paused', waiting: 1 }));
    expect((await baton('observer', 'status')).output).toMatch(/linux .*paused/);
    const why = await baton('observer', 'explain', String(ids[0]));
    expect(why.output).toMatch(
      /group linux takes it[^]*number 1 in line; 0 busy and 0 other runners of at most 4; the group is paused/,
    );
    expect(why.code).toBe(0);
    expect(await cluster.dispatcher('linux')).toMatchObject({ ready: 0, busy: 0 });
    expect((await baton('admin', 'resume', 'linux')).code).toBe(0);
    await sim.untilCompleted(ids);
    await expectNothingLeft(cluster);
  });

  it('drain a group: the command waits for the busy runner and shows progress', async () => {
    const go = join(cluster.dir, 'drained');
    const [id = 0] = await sim.jobs({ labels: ['linux'], run: untilExists(go) });
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ busy: 1 }));
    const draining = baton('admin', 'drain', 'linux');
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ mode: 'draining', busy: 1 }));
    expect((await sim.job(id)).status).toBe('in_progress');
    writeFileSync(go, '');
    const { code, output } = await draining;
    expect(output).toMatch(/linux is draining[^]*linux is drained/);
    expect(code).toBe(0);
    expect(await sim.job(id)).toMatchObject({ conclusion: 'success' });
    expect((await baton('admin', 'resume', 'linux')).code).toBe(0);
    expect((await baton('admin', 'drain', 'no-such-group')).output).toContain('GROUP_UNKNOWN');
  });

  it('explain a job: which group takes it, or why none does', async () => {
    const might = await baton('observer', 'explain', '--repository', 'acme/hello', '--labels', 'linux, gpu');
    expect(might.output).toContain('- linux lacks gpu');
    expect(might.code).toBe(1);

    const [lost = 0] = await sim.jobs({ labels: ['sparc'], run: 'true' });
    const dead = await until(async () => {
      const answer = await baton('observer', 'explain', String(lost));
      expect(answer.output).toContain('dead letter');
      return answer;
    });
    expect(dead.output).toMatch(/labels sparc, .*source: the dead letters[^]*no group takes it[^]*NO_GROUP/);
    expect(dead.code).toBe(1);
    const status = await baton('observer', 'status');
    expect(status.output).toMatch(/dead letters: 1\n[^]*NO_GROUP: job \d+: no group serves/);
    await sim.cancel(lost);

    // A job for the forge's own machines is no error: no dead letter.
    const [hosted = 0] = await sim.jobs({ labels: ['ubuntu-latest'] });
    const page = `${cluster.sim.address}/acme/hello/actions/runs/1/job/${hosted}`;
    const own = await baton('observer', 'explain', page);
    expect(own.output).toMatch(/source: the forge[^]*runs on the forge’s own machines/);
    await sim.cancel(hosted);
    const [after = 0] = await sim
      .untilCompleted(await sim.jobs({ labels: ['linux'], run: 'true' }))
      .then((jobs) => jobs.map(({ id }) => id));
    const ran = await until(async () => {
      const answer = await baton('observer', 'explain', String(after));
      expect(answer.output).toMatch(/had it/);
      return answer;
    });
    expect(ran.code).toBe(0);
    expect((await baton('observer', 'status')).output).toContain('dead letters: 1');
    expect((await baton('observer', 'explain', 'x')).output).toContain('neither the id of a job nor its address');
  });

  it('show a waiting job of a removed group that no other group serves as a dead letter', async () => {
    // A name of its own, should the test run twice in one cluster.
    const name = `leaving${Date.now()}`;
    const go = join(cluster.dir, name);
    const before = readFileSync(cluster.configFile, 'utf8');
    const runner = `runner: { directory: ${join(cluster.dir, 'runner')} }`;
    const group = `  - { name: ${name}, organization: acme, labels: [${name}], backend: local, max: 1, ${runner} }`;
    const run = untilExists(go);
    let waits: number;
    try {
      edit((text) => `${text.trimEnd()}\n${group}\n`);
      expect((await baton('admin', 'apply', cluster.configFile)).code).toBe(0);
      const ids = await sim.jobs({ count: 2, labels: [name], run });
      await until(async () => expect(await cluster.dispatcher(name)).toMatchObject({ busy: 1, waiting: 1 }));
      const jobs = await Promise.all(ids.map((id) => sim.job(id)));
      waits = ids[jobs.findIndex(({ status }) => status === 'queued')] ?? 0;
    } finally {
      writeFileSync(cluster.configFile, before);
    }
    expect((await baton('admin', 'apply', cluster.configFile)).code).toBe(0);
    try {
      const dead = await until(async () => {
        const answer = await baton('observer', 'explain', String(waits));
        expect(answer.output).toContain('dead letter');
        return answer;
      });
      expect(dead.output).toMatch(/labels leaving[^]*no group takes it[^]*NO_GROUP.*of the removed group leaving/);
      await until(async () => {
        const { output } = await baton('observer', 'status');
        expect(output).toMatch(new RegExp(`dead letters[^]*NO_GROUP: job ${waits}, of the removed group leaving`));
      });
    } finally {
      writeFileSync(go, '');
      await sim.cancel(waits);
    }
    await cluster.client.workflow.getHandle(dispatcherWorkflowId(name)).result();
    await expectNothingLeft(cluster);
  });
});

describe('a capped backend', () => {
  it('never holds more runners than its cap, and all its groups get runners', async () => {
    const from = (await sim.log()).length;
    const first = await sim.jobs({ count: 5, labels: ['first'], run: 'sleep 0.2' });
    const second = await sim.jobs({ count: 3, labels: ['second'], run: 'sleep 0.2' });
    await sim.untilCompleted([...first, ...second]);
    let now = 0;
    let most = 0;
    for (const { type } of (await sim.log()).slice(from)) {
      if (type === 'runner.registered') now += 1;
      if (type === 'runner.removed') now -= 1;
      most = Math.max(most, now);
    }
    expect(most).toBe(2);
    await expectNothingLeft(cluster);
  });
});
