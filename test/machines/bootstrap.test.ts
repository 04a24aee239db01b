import { createHash, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { InstanceSpec } from '../../contracts/instance.ts';
import { runnerName } from '../../contracts/runner/name.ts';
import { createUserData } from '../../deploy/bootstrap/user-data.ts';
import { bundleAgent } from '../../services/backend/agent-bundle.ts';
import { openContainerDoor, type ContainerDoor } from '../e2e/containers.ts';
import { dockerAnswers } from '../e2e/docker.ts';
import { JIT_CONFIG, JOB_ENV, startWorld, type World } from '../hooks/agent.fixture.ts';
import { bootMachine, machineImage, removeMachines, type Machine } from './machine.ts';

const MANAGER = `b${randomUUID().slice(0, 6)}`;
const LABEL = { 'baton.test': MANAGER };
const agent = await bundleAgent();

/** What its release's run.sh does: the hooks, and says who it is. */
const RUN_SH = `#!/bin/sh
${JOB_ENV}
sh -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"
echo "user $(id -u):$(id -g) in $(pwd), home $HOME"
cat /var/lib/cloud/instance/scripts/user-data /run/baton/agent/bootstrap.json 2>&1 | grep -c 'No such file'
sh -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"
`;

async function release(): Promise<{ content: Buffer; sha256: string }> {
  const archive = pack();
  archive.entry({ name: './run.sh', mode: 0o755 }, RUN_SH);
  archive.finalize();
  const content = await buffer(archive.pipe(createGzip()));
  return { content, sha256: createHash('sha256').update(content).digest('hex') };
}

describe.skipIf(!(await dockerAnswers()))('a bare machine', () => {
  let world: World;
  let server: Server;
  let url: string;
  let door: ContainerDoor;
  let image: string;
  let runnerRelease: { content: Buffer; sha256: string };
  /** What is answered under a path; nothing at all where it is undefined. */
  const served = new Map<string, Buffer>();

  beforeAll(async () => {
    [world, image, runnerRelease] = await Promise.all([startWorld(), machineImage('baton-test-machine'), release()]);
    served.set(`/agent/${agent.hash}.tar`, agent.archive).set('/runner.tar.gz', runnerRelease.content);
    server = createServer((request, response) => {
      const found = served.get(request.url ?? '');
      if (request.url !== '/silent/agent.tar') response.writeHead(found ? 200 : 404).end(found);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = z.object({ port: z.number() }).parse(server.address());
    door = await openContainerDoor([port, Number(new URL(world.nats.address).port)]);
    url = door.rename(`http://127.0.0.1:${port}`);
  });

  afterAll(async () => {
    await removeMachines(`baton.test=${MANAGER}`);
    await door.close();
    server.closeAllConnections();
    server.close();
    await world.stop();
  });

  async function boot(
    options: {
      spec?: Partial<InstanceSpec>;
      /** False: no release is configured. */
      withRelease?: boolean;
      releaseSha256?: string;
      /** Settings in front of the script, in place of what it was rendered with. */
      settings?: Record<string, string>;
      spot?: boolean;
      env?: string[];
    } = {},
  ): Promise<{ machine: Machine; runner: string; secrets: string[] }> {
    const runner = runnerName(MANAGER, 'linux', randomUUID());
    const sha256 = options.releaseSha256 ?? runnerRelease.sha256;
    const render = createUserData({
      cloud: 'gce',
      agentSha256: agent.hash,
      spot: options.spot ?? false,
      config: {
        ingress_url: url,
        runner_release: options.withRelease === false ? undefined : { url: `${url}/runner.tar.gz`, sha256 },
        block_metadata: true,
      },
    });
    const expiresAt = new Date(Date.now() + 600_000);
    const credentials = await world.mint(runner, expiresAt);
    const spec: InstanceSpec = {
      manager: MANAGER,
      group: 'linux',
      runner,
      pids: 100,
      user: '1002:1003',
      program: { directory: '/opt/runner' },
      expiresAt: expiresAt.toISOString(),
      ...options.spec,
    };
    let userData = render(spec, { natsUrl: door.rename(world.nats.address), credentials });
    expect(userData.length).toBeLessThan(16_384);
    for (const [name, value] of Object.entries(options.settings ?? {})) {
      userData = userData.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}='${value}'`);
    }
    const labels = LABEL;
    const machine = await bootMachine({ image, name: runner, userData, labels, env: options.env ?? [] });
    return { machine, runner, secrets: credentials.split('\n').filter((line) => /^(SU|ey)/.test(line)) };
  }

  it('installs the agent and the runner, works to the end of a job, and powers itself off', async () => {
    const { machine, runner, secrets } = await boot();
    const said = await machine.off;
    expect(said).toMatch(/installing http.*\n(.*\n)*machine: off by shutdown\n$/);
    const exited = await world.signal(runner, 'exited');
    expect(exited).toMatchObject({ code: 0, logTail: 'user 1002:1003 in /opt/runner, home /home/baton\n2\n' });
    const kinds = world.signalsOf(runner).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['online', 'started', 'completed', 'exited']));
    for (const secret of [JIT_CONFIG, ...secrets]) expect(said).not.toContain(secret);
  });

  it('uses what its image has in place of a release', async () => {
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
      /has the SHA-256 .* not f+/,
    ],
    ['a runner with another checksum', { releaseSha256: 'e'.repeat(64) }, /has the SHA-256 .* not e+/],
    ['no runner anywhere', { withRelease: false }, /no \/opt\/runner\/run.sh in the image/],
    [
      'an ingress of another version, for as long as a start may take',
      { settings: { BATON_AGENT_URL: 'http://host.docker.internal:1/agent.tar', BATON_START: '2' } },
      /asking again(.*\n)*.*no answer from .* within 2 s/,
    ],
  ])('powers itself off: %s', async (_what, options, message) => {
    const { machine, runner } = await boot(options);
    const said = await machine.off;
    expect(said).toMatch(message);
    expect(said).toMatch(/powering off\n(.*\n)*machine: off by shutdown\n$/);
    expect(world.signalsOf(runner)).toEqual([]);
  });

  it('powers itself off when the agent can’t be unpacked', async () => {
    const garbage = Buffer.from('this is no archive');
    served.set('/garbage', garbage);
    const sha256 = createHash('sha256').update(garbage).digest('hex');
    const settings = { BATON_AGENT_URL: `${url}/garbage`, BATON_AGENT_SHA256: sha256 };
    expect(await (await boot({ settings })).machine.off).toMatch(/unpacking the agent\nbaton: powering off\n/);
  });

  it.each([
    ['while it waits for an answer', { settings: { BATON_TTL: '4', BATON_AGENT_URL: 'SILENT' } }],
    ['while its agent waits for NATS, or a job runs', { settings: { BATON_TTL: '6' } }],
  ])('powers itself off at the end of its time, %s', async (_what, { settings }) => {
    const command = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'];
    const { machine } = await boot({
      spec: { program: { directory: '/nowhere', command } },
      settings: Object.fromEntries(
        Object.entries(settings).map(([name, value]) => [name, value.replace('SILENT', `${url}/silent/agent.tar`)]),
      ),
    });
    expect(await machine.off).toMatch(/the time to live is over\n(.*\n)*machine: off by shutdown\n$/);
  });

  it('powers itself off when its agent is killed', async () => {
    const { machine, runner } = await boot({
      spec: { program: { directory: '/nowhere', command: ['sh', '-c', 'sleep 600'] } },
    });
    await world.signal(runner, 'online');
    await machine.inside('for p in /proc/[0-9]*; do grep -qs agent.mjs "$p/cmdline" && kill -9 "${p#/proc/}"; done');
    expect(await machine.off).toMatch(/the agent ended with code 137\n(.*\n)*machine: off by shutdown\n$/);
  });

  it('passes on that its cloud takes it back', async () => {
    served.set('/computeMetadata/v1/instance/preempted', Buffer.from('TRUE'));
    const { machine, runner } = await boot({
      spot: true,
      env: [`BATON_METADATA=${url}`],
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
