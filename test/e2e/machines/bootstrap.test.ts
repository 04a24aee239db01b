import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { JIT_CONFIG, type AgentWorld } from '../../support/agent.ts';
import { machineImage } from './machine.ts';
import { sha256, MachineLab, type Booted, type BootOptions } from './machine-lab.ts';

describeUnless(await whyNoDocker(), 'a bare machine', () => {
  let lab: MachineLab;
  let world: AgentWorld;
  let image: string;

  beforeAll(async () => {
    [lab, image] = await Promise.all([MachineLab.open(), machineImage('baton-test-machine')]);
    world = lab.world;
  });

  afterAll(() => lab?.close());

  const boot = (options?: BootOptions): Promise<Booted> => lab.boot({ image }, options);

  it('installs the agent and the runner, runs a job, and powers itself off', async () => {
    const { machine, runner, secrets } = await boot();
    const output = await machine.off;
    expect(output).toMatch(/installing http.*\n(.*\n)*machine: off by shutdown\n$/);
    const exited = await world.signal(runner, 'exited');
    expect(exited).toMatchObject({ code: 0, logTail: 'user 1002:1003 in /opt/runner, home /home/baton\n2\n' });
    const kinds = world.findSignals(runner).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['online', 'started', 'completed', 'exited']));
    for (const secret of [JIT_CONFIG, ...secrets]) expect(output).not.toContain(secret);
  });

  it('uses the runner program of its image if there is no release', async () => {
    const { machine, runner } = await boot({
      withRelease: false,
      spec: { program: { directory: '/nowhere', command: ['sh', '-c', 'id -u; exit 3'] }, user: '1001:1001' },
    });
    expect(await machine.off).toContain('the image has the runner program');
    expect(await world.signal(runner, 'exited')).toMatchObject({ code: 3, logTail: '1001\n' });
  });

  it.each([
    [
      'an agent with another checksum',
      { settings: { BATON_AGENT_SHA256: 'f'.repeat(64) } },
      /has the SHA-256 .* expected f+/,
    ],
    ['a runner with another checksum', { releaseSha256: 'e'.repeat(64) }, /has the SHA-256 .* expected e+/],
    ['no runner in the image and no release', { withRelease: false }, /no \/opt\/runner\/run.sh in the image/],
    [
      'an ingress that does not answer within the start timeout',
      { settings: { BATON_AGENT_URL: 'http://host.docker.internal:1/agent.tar', BATON_START: '5' } },
      /retrying in(.*\n)*.*no answer from .* within 5 s/,
    ],
  ])('powers itself off because of %s', async (_what, options, message) => {
    const { machine, runner } = await boot(options);
    const output = await machine.off;
    expect(output).toMatch(message);
    expect(output).toMatch(/powering off\n(.*\n)*machine: off by shutdown\n$/);
    expect(world.findSignals(runner)).toEqual([]);
  });

  it('powers itself off when the agent cannot be unpacked', async () => {
    const garbage = Buffer.from('this is no archive');
    lab.served.set('/garbage', garbage);
    const settings = { BATON_AGENT_URL: `${lab.url}/garbage`, BATON_AGENT_SHA256: sha256(garbage) };
    expect(await (await boot({ settings })).machine.off).toMatch(/unpacking the agent\nbaton: powering off\n/);
  });

  it.each([
    ['while it waits for an answer', { settings: { BATON_TTL: '4', BATON_AGENT_URL: 'SILENT' } }],
    ['while its agent waits for NATS, or a job runs', { settings: { BATON_TTL: '6' } }],
  ])('powers itself off at the end of its time to live, %s', async (_what, { settings }) => {
    const command = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'];
    const { machine } = await boot({
      spec: { program: { directory: '/nowhere', command } },
      settings: Object.fromEntries(
        Object.entries(settings).map(([name, value]) => [name, value.replace('SILENT', `${lab.url}/silent/agent.tar`)]),
      ),
    });
    expect(await machine.off).toMatch(/the time to live has ended\n(.*\n)*machine: off by shutdown\n$/);
  });

  it('powers itself off when its agent is killed', async () => {
    const { machine, runner } = await boot({
      spec: { program: { directory: '/nowhere', command: ['sh', '-c', 'sleep 600'] } },
    });
    await world.signal(runner, 'online');
    await machine.inside('for p in /proc/[0-9]*; do grep -qs agent.mjs "$p/cmdline" && kill -9 "${p#/proc/}"; done');
    expect(await machine.off).toMatch(/the agent ended with code 137\n(.*\n)*machine: off by shutdown\n$/);
  });

  it('passes on a notice that its cloud takes it back', async () => {
    lab.served.set('/computeMetadata/v1/instance/preempted', Buffer.from('TRUE'));
    const { machine, runner } = await boot({
      spot: true,
      env: [`BATON_METADATA=${lab.url}`],
      spec: {
        program: {
          directory: '/nowhere',
          command: ['sh', '-c', 'until [ -e "$BATON_INTERRUPTION" ]; do sleep 0.1; done; cat "$BATON_INTERRUPTION"'],
        },
      },
    });
    await machine.off;
    expect(await world.signal(runner, 'exited')).toMatchObject({ logTail: expect.stringContaining('preempt') });
  });
});
