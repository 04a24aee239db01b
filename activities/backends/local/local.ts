import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { MAX_SOCKET_PATH, type AgentBundle } from '../../../contracts/messages/bootstrap-file.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Backend, Bootstrap, Confirm, Instance, InstanceSpec } from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { installAgent } from './agent-folder.ts';
import {
  InstanceFolder,
  listFolders,
  removeLeftovers,
  type InstanceEnding,
  type InstanceRecord,
} from './instance-folder.ts';
import {
  endProcess,
  killStragglers,
  findOrphan,
  startInstanceProcess,
  type StartedProcess,
} from './instance-process.ts';
import type { ProcessIdentity } from './identify.ts';
import { isAlive } from './process-identity.ts';
import { Spawner } from './spawner.ts';
import { toBootstrapFile } from '../bootstrap-file.ts';
import { Serial } from '../serial.ts';
import { hashSpec } from '../spec-hash.ts';

/** How often instances of other processes are polled; this process learns at once of the end of its own. */
const POLL_INTERVAL_MS = 1000;
/** How often, and how many times, the ending of another worker's instance is looked for. */
const ENDING_INTERVAL_MS = 100;
const ENDING_TRIES = 20;
/** The sizes of logs are checked at every fifth poll. */
const LOG_POLLS = 5;
/** How long a create waits for another backend process that is creating the instance. */
const CREATOR_TIMEOUT_MS = 30_000;

export interface LocalBackendOptions {
  /** The installation's name. */
  installation: string;
  /** Where instances have their folders; shared by all backend processes of this installation on this machine. */
  root: string;
  /** Run instead of the agent, without a bootstrap file: a no-op command makes a no-op instance. */
  command?: string[] | undefined;
  agent: AgentBundle;
  log: Logger;
}

const UNWATCHED = { state: 'dead', exitCode: null, reason: 'its process ended unobserved' } as const;

type InstanceFacts = Omit<Instance, 'state' | 'exitCode' | 'reason'>;

/**
 * Instances as processes on this machine, for development and benchmarks: without isolation and without limits. Each is
 * a process group with a folder `<root>/<installation>/<runner>`, and outlives the backend process that created it.
 */
export class LocalBackend implements Backend {
  readonly type = 'local';
  readonly #options: LocalBackendOptions;
  readonly #parent: string;
  readonly #serial = new Serial();
  readonly #children = new Map<string, StartedProcess>();
  readonly #removing = new Set<string>();
  readonly #listeners = new Set<(runner: string) => void>();
  #agentFolder: Promise<string> | undefined;
  #spawner: Spawner | undefined;

  constructor(options: LocalBackendOptions) {
    this.#options = options;
    this.#parent = resolve(options.root, options.installation);
  }

  async create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal, confirm?: Confirm): Promise<Instance> {
    return this.#serial.run(spec.runner, async () => {
      abort.throwIfAborted();
      await mkdir(this.#parent, { recursive: true, mode: 0o700 });
      // The instance is claimed for this spawner, so no other one may start it.
      const spawner = this.#openSpawner();
      const { installation, group, runner } = spec;
      const folder = new InstanceFolder(this.#parent, runner);
      const hash = hashSpec(spec);
      const created = { version: 1 as const, installation, group, runner, hash, createdAt: new Date().toISOString() };
      if (!folder.exists()) await confirm?.();
      const isNew = folder.create(created, spawner.identity);
      const record = isNew ? created : folder.readRecord();
      if (record === undefined) throw new BatonError('BACKEND_UNAVAILABLE', `creating ${runner}: it is being removed`);
      if (record.hash !== hash) {
        throw new BatonError('INSTANCE_CONFLICT', `creating ${runner}: ${folder.path} exists with other parameters`);
      }
      if (!isNew) await this.#waitForCreator(folder, spawner.identity, abort);
      if (isNew || !(await this.#isStarted(folder))) await this.#start(spawner, folder, spec, bootstrap);
      return this.#toInstance(folder, record);
    });
  }

  async describe(runner: string): Promise<Instance | undefined> {
    const folder = new InstanceFolder(this.#parent, runner);
    const record = folder.readRecord();
    return record && this.#toInstance(folder, record);
  }

  async list(abort: AbortSignal): Promise<Instance[]> {
    await mkdir(this.#parent, { recursive: true, mode: 0o700 });
    const instances: Instance[] = [];
    for (const runner of await listFolders(this.#parent)) {
      abort.throwIfAborted();
      const instance = await this.describe(runner);
      if (instance) instances.push(instance);
    }
    return instances;
  }

  async delete(runner: string, abort: AbortSignal): Promise<void> {
    return this.#serial.run(runner, async () => {
      abort.throwIfAborted();
      const folder = new InstanceFolder(this.#parent, runner);
      if (!folder.exists()) {
        // Someone may have removed the folder of an instance that runs.
        await killStragglers(folder.path);
        return;
      }
      this.#removing.add(runner);
      try {
        const leader = this.#findLeader(folder);
        if (leader && isAlive(leader)) folder.markRemoval();
        if (leader) await endProcess(leader, this.#children.get(runner)?.ended);
        await killStragglers(folder.path);
        await folder.remove(toFallbackFolder(folder.path));
        this.#children.delete(runner);
      } finally {
        this.#removing.delete(runner);
      }
    });
  }

  async watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    await mkdir(this.#parent, { recursive: true, mode: 0o700 });
    await removeLeftovers(this.#parent);
    const reported = new Set<string>();
    const report = async (runner: string): Promise<void> => {
      const instance = await this.describe(runner);
      // Never started: it may still be in creation.
      if (instance?.state !== 'dead' || instance.id === '' || this.#removing.has(runner)) return;
      const folder = new InstanceFolder(this.#parent, runner);
      if (folder.isBeingRemoved()) return;
      // Its removal has finished meanwhile, so that the mark is gone too.
      if (folder.readRecord() === undefined) return;
      // Both its end and the next poll may have called this.
      if (reported.has(runner)) return;
      reported.add(runner);
      onDeath(instance);
    };
    const listener = (runner: string): void => {
      report(runner).catch((error: unknown) => {
        this.#options.log.warn({ err: error, runner }, 'reporting the death of an instance failed');
      });
    };
    this.#listeners.add(listener);
    abort.addEventListener('abort', () => this.#listeners.delete(listener));
    for (let poll = 0; !abort.aborted; poll++) {
      try {
        const runners = await listFolders(this.#parent);
        const known = new Set(runners);
        for (const runner of reported) if (!known.has(runner)) reported.delete(runner);
        for (const [runner, { hasEnded }] of this.#children)
          if (hasEnded && !known.has(runner)) this.#children.delete(runner);
        for (const runner of runners) {
          if (reported.has(runner)) continue;
          if (this.#children.get(runner)?.hasEnded !== false) await report(runner);
          if (poll % LOG_POLLS === 0) await new InstanceFolder(this.#parent, runner).truncateLog();
        }
      } catch (error) {
        this.#options.log.warn({ err: error }, 'listing instances failed; will retry');
      }
      await sleep(POLL_INTERVAL_MS, undefined, { signal: abort }).catch(() => undefined);
    }
  }

  #openSpawner(): Spawner {
    if (this.#spawner === undefined || this.#spawner.hasEnded) this.#spawner = new Spawner();
    return this.#spawner;
  }

  /** Waits while another running spawner may start the instance. After that, this one has the claim. */
  async #waitForCreator(folder: InstanceFolder, self: ProcessIdentity, abort: AbortSignal): Promise<void> {
    const deadline = Date.now() + CREATOR_TIMEOUT_MS;
    while (!this.#isRecorded(folder) && folder.claim(self) === 'theirs') {
      if (Date.now() > deadline) {
        throw new BatonError(
          'BACKEND_UNAVAILABLE',
          `creating ${folder.path}: another process has not finished creating it`,
        );
      }
      await sleep(100, undefined, { signal: abort });
    }
  }

  /** The process of an instance that is to be deleted; undefined also where its file is damaged: its marks find all its processes. */
  #findLeader(folder: InstanceFolder): ProcessIdentity | undefined {
    try {
      return folder.readProcess();
    } catch (error) {
      this.#options.log.warn(
        { reason: getErrorMessage(error) },
        'the record of a process cannot be read; its marks find it',
      );
      return undefined;
    }
  }

  #isRecorded(folder: InstanceFolder): boolean {
    return (folder.readProcess() ?? folder.readEnding()) !== undefined;
  }

  /** Whether it was already started; records a process that its creator started but did not live to record. */
  async #isStarted(folder: InstanceFolder): Promise<boolean> {
    if (this.#isRecorded(folder)) return true;
    const orphan = await findOrphan(folder.path);
    if (orphan) return folder.write('process.json', orphan);
    // The agent may have run and ended already: an instance starts only one.
    return folder.hasAgentRun() && folder.write('exit.json', { code: null, signal: null });
  }

  async #start(spawner: Spawner, folder: InstanceFolder, spec: InstanceSpec, bootstrap: Bootstrap): Promise<void> {
    const { runner } = spec;
    const { command, agent, log } = this.#options;
    let started: StartedProcess;
    if (command) {
      started = await startInstanceProcess(spawner, folder.path, command, {});
    } else {
      this.#agentFolder ??= installAgent(this.#parent, agent).catch((error: unknown) => {
        this.#agentFolder = undefined;
        throw error;
      });
      const agentFile = join(await this.#agentFolder, 'agent.mjs');
      folder.write('bootstrap.json', toBootstrapFile(spec, bootstrap, toSocketPath(folder.path)));
      folder.write('starting.json', {});
      started = await startInstanceProcess(spawner, folder.path, [process.execPath, agentFile], {
        [AGENT_ENV.bootstrap]: join(folder.path, 'bootstrap.json'),
        [AGENT_ENV.programDirectory]: spec.program.directory,
      });
    }
    this.#children.set(runner, started);
    started.ended
      .then((ending) => this.#recordEnding(folder, runner, ending))
      .catch((error: unknown) => log.warn({ err: error, runner }, 'recording the end of an instance failed'));
    if (folder.write('process.json', started.identity)) return;
    // The instance was deleted while it was being created.
    await endProcess(started.identity, started.ended);
    throw new BatonError('BACKEND_UNAVAILABLE', `creating ${runner}: its folder was removed meanwhile`);
  }

  #recordEnding(folder: InstanceFolder, runner: string, ending: InstanceEnding): void {
    const own = this.#children.get(runner);
    if (own) own.hasEnded = true;
    if (folder.write('exit.json', ending)) for (const listener of this.#listeners) listener(runner);
  }

  async #toInstance(folder: InstanceFolder, record: InstanceRecord): Promise<Instance> {
    const leader = folder.readProcess();
    const alive: InstanceFacts = {
      id: leader === undefined ? '' : String(leader.pid),
      runner: record.runner,
      group: record.group,
      createdAt: record.createdAt,
    };
    let ending = folder.readEnding();
    if (leader === undefined && ending) return { ...alive, id: record.runner, ...UNWATCHED };
    if (leader === undefined) return { ...alive, state: 'dead', exitCode: null, reason: 'it was never started' };
    if (ending === undefined && isAlive(leader)) return { ...alive, state: 'running' };
    const own = this.#children.get(record.runner);
    // Its parent may be another backend process that is about to record how it ended.
    ending ??= own ? await own.ended : await readEndingAgain(folder);
    if (ending === undefined || (ending.signal === null && ending.code === null)) return { ...alive, ...UNWATCHED };
    if (ending.signal === null) {
      return { ...alive, state: 'dead', exitCode: ending.code, reason: `exited with code ${ending.code}` };
    }
    const exitCode = 128 + (Object.entries(constants.signals).find(([name]) => name === ending.signal)?.[1] ?? 0);
    return { ...alive, state: 'dead', exitCode, reason: `killed by ${ending.signal}` };
  }
}

/** The worker that started the instance writes its ending, a moment after its process is gone: as long as it runs, that may still come. */
async function readEndingAgain(folder: InstanceFolder): Promise<InstanceEnding | undefined> {
  for (let tries = 1; ; tries++) {
    await sleep(ENDING_INTERVAL_MS);
    const ending = folder.readEnding();
    if (ending !== undefined || tries === ENDING_TRIES || !folder.isStarterAlive()) return ending;
  }
}

/** The socket's path in the instance's folder if it is short enough, else in the folder for temporary files. */
function toSocketPath(folder: string): string {
  const path = join(folder, 'agent.sock');
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH ? path : join(toFallbackFolder(folder), 'agent.sock');
}

function toFallbackFolder(folder: string): string {
  const name = createHash('sha256').update(dirname(folder)).update(folder).digest('hex').slice(0, 16);
  return join(tmpdir(), `baton-${name}`);
}
