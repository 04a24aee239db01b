import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DockerBackend } from '../../../activities/backends/docker/docker.ts';
import type { Instance } from '../../../contracts/ports/backend.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { createRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { startNatsServer } from '../../../deploy/servers/nats.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { JIT_CONFIG, JOB_ENV, startAgentWorld, type AgentWorld } from '../../support/agent.ts';

const SOCKET = '/var/run/docker.sock';
const IMAGE = 'baton-test-instance';
const docker = new Docker({ socketPath: SOCKET });
const never = new AbortController().signal;

describeUnless(await whyNoDocker(), 'an agent in a container', () => {
  const installation = `c${randomUUID().slice(0, 8)}`;
  let world: AgentWorld;
  let backend: DockerBackend;

  beforeAll(async () => {
    // Containers reach NATS at this machine's address on their bridge, so it must not listen on the loopback only.
    world = await startAgentWorld(async (folder, operator) => {
      const server = await startNatsServer({ dir: join(folder, 'nats'), operator, host: '0.0.0.0' });
      return { url: `nats://127.0.0.1:${new URL(server.url).port}`, stop: () => server.stop() };
    });
    await buildInstanceImage(docker, IMAGE);
    backend = new DockerBackend({
      installation,
      socket: SOCKET,
      networkPool: '10.216.0.0/16',
      agent: await bundleAgent(),
      log: createLogger('test', 'silent'),
    });
  });

  afterAll(async () => {
    for (const { runner } of await backend.list(never)) await backend.delete(runner, never);
    await world.stop();
  });

  it('registers, runs a job with both hooks, reports its end, and exits', async () => {
    const runner = createRunnerName(installation, 'linux', randomUUID());
    const ending = new AbortController();
    const death = new Promise<Instance>((resolve) => void backend.watch(resolve, ending.signal));
    const script = `test \${#1} = ${JIT_CONFIG.length} || exit 9
      ${JOB_ENV}
      bash -e "$ACTIONS_RUNNER_HOOK_JOB_STARTED"; echo hook $?; id -u; pwd
      sh -e "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; echo hook $?; echo "$1"; exit 5`;
    const expiresAt = new Date(Date.now() + 600_000);
    const credentials = await world.mint(runner, expiresAt);
    const spec = {
      installation,
      group: 'linux',
      runner,
      image: IMAGE,
      pids: 100,
      user: '1001:1001',
      program: { directory: '/home/runner', command: ['sh', '-c', script, 'job', '{jitconfig}'] },
      expiresAt: expiresAt.toISOString(),
    };
    const natsUrl = `nats://host.docker.internal:${new URL(world.nats.address).port}`;
    const { id } = await backend.create(spec, { natsUrl, credentials }, never);
    expect(await world.signal(runner, 'exited')).toMatchObject({
      code: 5,
      logTail: 'hook 0\n1001\n/home/runner\nhook 0\n***\n',
    });
    expect(world.findSignals(runner).map(({ kind }) => kind)).toEqual(['online', 'started', 'completed', 'exited']);
    expect(await death).toMatchObject({ runner, state: 'dead', exitCode: 0 });
    ending.abort();
    const container = docker.getContainer(id);
    const log = String(await container.logs({ stdout: true, stderr: true }));
    expect(log).toContain('the runner program ended');
    for (const secret of [JIT_CONFIG, ...credentials.split('\n').filter((line) => /^(SU|ey)/.test(line))]) {
      expect(log).not.toContain(secret);
      expect(JSON.stringify(await container.inspect())).not.toContain(secret);
    }
    await backend.delete(runner, never);
    expect(await backend.list(never)).toEqual([]);
  });
});
