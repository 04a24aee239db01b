import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTokenKey, signToken } from '../../contracts/lib/proxy-token.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import { findFreePorts } from '../../contracts/lib/free-ports.ts';
import { findBridgeGateway } from '../../services/cli/start/engine.ts';
import { ensureBaseImages, removeImages } from '../support/base-images.ts';
import { isDockerAvailable, pruneBuildStages } from '../support/docker.ts';

const exec = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILE = fileURLToPath(new URL('../../deploy/docker-compose.yml', import.meta.url));

const docker = new Docker();
const project = `batontest${process.pid}`;
const installation = `compose-${process.pid}`;
const key = createTokenKey();

const runView = z.object({
  id: z.number(),
  status: z.string(),
  jobs: z.array(z.object({ name: z.string(), conclusion: z.string().nullable(), runner: z.string().nullable() })),
});

/** `docker compose` (v2) or `docker-compose` (Debian's, v1); undefined without either, or without an engine. */
async function findCompose(): Promise<string[] | undefined> {
  if (!(await isDockerAvailable())) return undefined;
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...args] = command;
    const works = await exec(program, [...args, 'version']).then(
      () => true,
      () => false,
    );
    if (works) return command;
  }
  return undefined;
}

const command = await findCompose();

describe('the development cluster', () => {
  let made: string[] = [];
  let simulator = 0;
  let env: NodeJS.ProcessEnv = {};

  async function compose(...args: string[]): Promise<void> {
    const [program = '', ...first] = command ?? [];
    const all = [...first, '-p', project, '-f', FILE, ...args];
    try {
      await exec(program, all, { env, cwd: ROOT, maxBuffer: 64 * 1024 ** 2 });
    } catch (error) {
      // The message contains stderr, but builds print their errors on stdout.
      const { stdout } = z.object({ stdout: z.string() }).parse(error);
      throw new Error(`${args.join(' ')}: ${getErrorMessage(error)}\n${stdout.slice(-4000)}`, { cause: error });
    }
  }

  beforeAll(async () => {
    if (command === undefined) return;
    made = await ensureBaseImages(docker);
    const [ui = 0, nats = 0, sim = 0] = await findFreePorts(3);
    const ingress = await findPortRange(10);
    const pages = await findPortRange(10);
    simulator = sim;
    env = {
      ...process.env,
      NODE_IMAGE: 'node:24-bookworm-slim',
      BATON_IMAGE: `baton:${project}`,
      BATON_RUNNER_IMAGE: `baton-demo-runner:${project}`,
      BATON_INSTALLATION: installation,
      BATON_PROXY_KEY: key.publicKey,
      BATON_BRIDGE: (await findBridgeGateway(docker)) ?? '127.0.0.1',
      BATON_TEMPORAL_UI_PORT: String(ui),
      BATON_NATS_PORT: String(nats),
      BATON_SIMULATOR_PORT: String(sim),
      BATON_INGRESS_PORTS: ingress,
      BATON_STATUS_PORTS: pages,
    };
  }, 600_000);

  afterAll(async () => {
    if (command === undefined) return;
    await compose('down', '-v', '--remove-orphans').catch(() => undefined);
    await removeImages(docker, [...made, `baton:${project}`, `baton-demo-runner:${project}`]);
    await pruneBuildStages(docker, 'baton');
  }, 300_000);

  async function sim(method: string, path: string, body?: object): Promise<z.infer<typeof runView>> {
    const response = await fetch(`http://127.0.0.1:${simulator}/_sim${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return runView.parse(await response.json());
  }

  /** Builds and runs the proxy's own image: it takes a job, hands it over to this cluster, and ends when it is stopped. */
  async function expectProxyHandsOver(): Promise<void> {
    const image = `baton-proxy:${project}`;
    made.push(image);
    const building = await docker.buildImage(
      { context: fileURLToPath(new URL('../../deploy/images/proxy-runner', import.meta.url)), src: ['.'] },
      { t: image, buildargs: { BATON_IMAGE: env['BATON_IMAGE'] ?? '', RUNNER_IMAGE: env['BATON_RUNNER_IMAGE'] ?? '' } },
    );
    await new Promise<void>((done, reject) => {
      docker.modem.followProgress(building, (error) => (error === null ? done() : reject(error)));
    });
    const issued = Math.floor(Date.now() / 1000);
    const proxy = await docker.createContainer({
      Image: image,
      name: `${project}-proxy`,
      Env: [
        'BATON_PROXY_NAME=proxy-1',
        'BATON_PROXY_URL=http://simulator:8080/acme',
        'BATON_PROXY_LABELS=team',
        'BATON_PROXY_ORCHESTRATOR_URL=http://ingress:8080',
        `RUNNER_TOKEN=${signToken(key.privateKey, { proxy: 'proxy-1', issued, expires: issued + 3600 })}`,
        `BATON_REGISTRATION_TOKEN=${await registrationToken()}`,
      ],
      HostConfig: {
        NetworkMode: `${project}_default`,
        ExtraHosts: ['host.docker.internal:host-gateway'],
        // As the image says.
        CapDrop: ['ALL'],
        CapAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID'],
        SecurityOpt: ['no-new-privileges'],
      },
    });
    try {
      await proxy.start();
      await expect
        .poll(async () => (await proxy.inspect()).State.Health?.Status, { timeout: 120_000, interval: 500 })
        .toBe('healthy');
      const workflow = 'on: push\njobs:\n  team:\n    runs-on: [self-hosted, team]\n    steps: [{ run: id }]\n';
      const { id } = await sim('POST', '/repos/acme/hello/push', { workflow });
      // A run shows its newest attempt. The group serves delegations only, so that the proxy had the job first.
      const done = { conclusion: 'success', runner: expect.stringContaining(`${installation}-ephemeral-`) };
      await expect
        .poll(async () => (await sim('GET', `/runs/${id}`)).jobs, { timeout: 180_000, interval: 500 })
        .toEqual([expect.objectContaining(done)]);
      await proxy.stop({ t: 60 });
      expect((await proxy.inspect()).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
    } catch (error) {
      const log = (await proxy.logs({ stdout: true, stderr: true, tail: 30 })).toString();
      throw new Error(`${getErrorMessage(error)}\nthe end of the proxy's log:\n${log}`, { cause: error });
    } finally {
      await proxy.remove({ force: true });
    }
  }

  /** A registration token of the forge, requested with the token that the cluster's set-up made. */
  async function registrationToken(): Promise<string> {
    const label = [`com.docker.compose.project=${project}`, 'com.docker.compose.service=simulator'];
    const [found] = await docker.listContainers({ filters: { label } });
    const reading = await docker
      .getContainer(found?.Id ?? '')
      .exec({ Cmd: ['cat', '/run/baton/env/BATON_FORGE_TOKEN'], AttachStdout: true, Tty: true });
    let token = '';
    for await (const chunk of await reading.start({ Tty: true })) token += String(chunk);
    const path = '/api/v3/orgs/acme/actions/runners/registration-token';
    const response = await fetch(`http://127.0.0.1:${simulator}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.trim()}` },
    });
    return z.object({ token: z.string() }).parse(await response.json()).token;
  }

  it(
    'starts with two ingresses and backend workers, runs a job, takes one from a proxy, and leaves nothing when it is removed',
    { timeout: 900_000 },
    async (context) => {
      context.skip(command === undefined, 'needs a Docker engine and docker-compose');
      await compose('up', '--build', '-d', '--scale', 'ingress=2', '--scale', 'backend-docker=2');

      await expect
        .poll(() => listHealth(), { timeout: 180_000, interval: 1000 })
        .toEqual({
          temporal: ['healthy'],
          nats: ['healthy'],
          simulator: ['healthy'],
          ingress: ['healthy', 'healthy'],
          relay: ['healthy'],
          orchestrator: ['healthy'],
          'backend-docker': ['healthy', 'healthy'],
        });

      const workflow = `on: push
jobs:
  hello:
    runs-on: [self-hosted, linux]
    steps:
      - run: echo "from a container, $(id -u)"
`;
      const { id } = await sim('POST', '/repos/acme/hello/push', { workflow });
      await expect.poll(async () => (await sim('GET', `/runs/${id}`)).status, { timeout: 120_000 }).toBe('completed');
      const [job] = (await sim('GET', `/runs/${id}`)).jobs;
      expect(job).toMatchObject({ conclusion: 'success', runner: expect.stringContaining(`${installation}-linux-`) });
      await expect.poll(() => listInstances(), { timeout: 60_000 }).toEqual([]);

      await expectProxyHandsOver();
      await expect.poll(() => listInstances(), { timeout: 60_000 }).toEqual([]);

      await compose('down', '-v', '--remove-orphans');
      const label = [`com.docker.compose.project=${project}`];
      expect(await docker.listContainers({ all: true, filters: { label } })).toEqual([]);
      expect(await docker.listNetworks({ filters: { label } })).toEqual([]);
      expect((await docker.listVolumes({ filters: { label } })).Volumes).toEqual([]);
    },
  );
});

/** As many free ports in a row, `first-last`. */
async function findPortRange(count: number): Promise<string> {
  for (;;) {
    const ports = await findFreePorts(count);
    const [first = 0] = ports;
    const last = ports.at(-1);
    if (last === first + count - 1) return `${first}-${last}`;
  }
}

/** Health of the running services' containers, by service. */
async function listHealth(): Promise<Record<string, string[]>> {
  const found = await docker.listContainers({ filters: { label: [`com.docker.compose.project=${project}`] } });
  const byService: Record<string, string[]> = {};
  for (const { Labels, Status } of found) {
    const health = /\((healthy|unhealthy|health: starting)\)/.exec(Status)?.[1] ?? Status;
    (byService[Labels['com.docker.compose.service'] ?? ''] ??= []).push(health);
  }
  return byService;
}

/** Containers and networks of runners. */
async function listInstances(): Promise<string[]> {
  const filters = { label: [`baton.installation=${installation}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  return [...containers.map(({ Names }) => Names.join()), ...networks.map(({ Name }) => Name)];
}
