import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import Docker from 'dockerode';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { getDockerStatus } from '../../../contracts/lib/docker-status.ts';
import { MaskedLines } from '../../lib/masked-lines.ts';
import {
  STOP_GRACE_MS,
  type ActionRunner,
  type CompletionOutput,
  type ExecutionContext,
  type StartOutput,
} from '../manager/action-runner.ts';
import { waitForAbort } from '../manager/timer.ts';
import { collectSecretValues } from './secret-values.ts';

/** How long the engine may take to finish a removal in progress. */
const REMOVAL_TIMEOUT_MS = 60_000;

/** Labels of the container: the action's name, and a hash of its input. */
const LABELS = { action: 'baton.action', input: 'baton.action-input' } as const;

const input = z.strictObject({
  image: z.string().min(1),
  /** Replaces the image's command. */
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  /** Its environment, besides the image's own. */
  env: z.record(z.string().min(1), z.string()).default({}),
  /** Names of environment variables of the Manager that are passed on, and whose values are masked in the output. */
  secrets: z.array(z.string().min(1)).default([]),
  directory: z.string().min(1).optional(),
  /** `uid` or `uid:gid`; default: the image's. */
  user: z
    .string()
    .regex(/^\d+(:\d+)?$/, 'expected uid or uid:gid')
    .optional(),
  cpu: z.number().positive().optional(),
  memory_bytes: z.int().positive().optional(),
  /** The engine's socket. */
  socket: z.string().min(1).default('/var/run/docker.sock'),
});

type ContainerInput = z.infer<typeof input>;

/**
 * Runs a container on a Docker engine, without privileges and without access to the engine's socket. Succeeds if the
 * container ends with code 0. The container is removed at its end. It has the action's name, so that a Manager that is
 * restarted after a crash finds it again.
 */
export class ContainerRunner implements ActionRunner<ContainerInput> {
  readonly name = 'container';
  readonly input = input;
  #container: Docker.Container | undefined;
  #logged: Promise<void> = Promise.resolve();

  async start(context: ExecutionContext, given: ContainerInput): Promise<StartOutput> {
    const docker = new Docker({ socketPath: given.socket });
    const container = await this.#create(docker, context, given);
    this.#container = container;
    try {
      await container.start().catch((error: unknown) => {
        // 304: it was started before.
        if (getDockerStatus(error) !== 304) throw error;
      });
    } catch (error) {
      await container.remove({ force: true }).catch(() => undefined);
      throw toBatonError(`starting container ${context.name}`, error);
    }
    this.#logged = this.#follow(docker, container, context, given);
    return { status: { container: container.id } };
  }

  async waitForCompletion(context: ExecutionContext): Promise<CompletionOutput> {
    const container = this.#container;
    if (container === undefined) throw new BatonError('INTERNAL', 'waiting for a container: it was never started');
    // The engine answers 304 if the container has ended already.
    void waitForAbort(context.signal).then(() => container.stop({ t: STOP_GRACE_MS / 1000 }).catch(() => undefined));
    try {
      const answer: unknown = await container.wait();
      const { StatusCode: code } = z.object({ StatusCode: z.int() }).parse(answer);
      await this.#logged;
      return { succeeded: code === 0, message: `the container ended with code ${code}`, exit: { code, signal: null } };
    } catch (error) {
      throw toBatonError(`waiting for container ${context.name}`, error);
    } finally {
      await remove(container).catch((error: unknown) => {
        context.log.warn({ container: container.id, err: error }, 'cannot remove the container');
      });
    }
  }

  async #create(docker: Docker, context: ExecutionContext, given: ContainerInput): Promise<Docker.Container> {
    const { name } = context;
    const hash = createHash('sha256').update(JSON.stringify(given)).digest('hex').slice(0, 32);
    const { NAMESPACE: namespace } = context.platform;
    const env = [
      ...Object.entries(given.env).map(([key, value]) => `${key}=${value}`),
      ...given.secrets.map((key) => `${key}=${process.env[key] ?? ''}`),
      `RUNNER_CONTEXT_NAME=${name}`,
      ...(namespace === undefined ? [] : [`RUNNER_CONTEXT_PLATFORM_NAMESPACE=${namespace}`]),
    ];
    try {
      return await docker.createContainer({
        name,
        Image: given.image,
        Env: env,
        Labels: { [LABELS.action]: name, [LABELS.input]: hash },
        HostConfig: {
          CapDrop: ['ALL'],
          SecurityOpt: ['no-new-privileges'],
          Init: true,
          LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
          ...(given.cpu === undefined ? {} : { NanoCpus: Math.round(given.cpu * 1e9) }),
          ...(given.memory_bytes === undefined ? {} : { Memory: given.memory_bytes, MemorySwap: given.memory_bytes }),
        },
        ...(given.command === undefined ? {} : { Cmd: given.command }),
        ...(given.entrypoint === undefined ? {} : { Entrypoint: given.entrypoint }),
        ...(given.directory === undefined ? {} : { WorkingDir: given.directory }),
        ...(given.user === undefined ? {} : { User: given.user }),
      });
    } catch (error) {
      if (getDockerStatus(error) !== 409)
        throw toBatonError(`creating container ${name} of image ${given.image}`, error);
    }
    const container = docker.getContainer(name);
    const { Config: config } = await container.inspect().catch((error: unknown) => {
      throw toBatonError(`inspecting container ${name}`, error);
    });
    if (config.Labels[LABELS.action] === name && config.Labels[LABELS.input] === hash) return container;
    throw new BatonError('INSTANCE_CONFLICT', `creating container ${name}: another container has this name`);
  }

  /** Passes on what the container prints; resolves at its end. */
  async #follow(
    docker: Docker,
    container: Docker.Container,
    context: ExecutionContext,
    given: ContainerInput,
  ): Promise<void> {
    const lines = new MaskedLines(collectSecretValues(given.secrets, process.env), (text) => context.output(text));
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk);
        done();
      },
    });
    try {
      const stream = await container.logs({ follow: true, stdout: true, stderr: true });
      docker.modem.demuxStream(stream, sink, sink);
      await new Promise<void>((resolve) => {
        stream.once('end', resolve);
        stream.once('error', () => resolve());
      });
    } catch (error) {
      context.log.warn({ container: container.id, err: error }, 'reading the container’s output failed');
    }
    lines.end();
  }
}

/** Removes the container. If the engine is removing it already (409), waits until it is gone. */
async function remove(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true }).catch((error: unknown) => {
      if (getDockerStatus(error) !== 409) throw error;
      return container.wait({ condition: 'removed', abortSignal: AbortSignal.timeout(REMOVAL_TIMEOUT_MS) });
    });
  } catch (error) {
    if (getDockerStatus(error) !== 404) throw error;
  }
}

function toBatonError(doing: string, error: unknown): BatonError {
  const status = getDockerStatus(error);
  const code = status === undefined || status >= 500 ? 'BACKEND_UNAVAILABLE' : 'INSTANCE_INVALID';
  const missing = status === 404 && /image/i.test(getErrorMessage(error));
  return new BatonError(missing ? 'IMAGE_MISSING' : code, `${doing}: ${getErrorMessage(error).trim()}`, {
    cause: error,
  });
}
