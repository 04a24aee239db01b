import { randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { ProcessIdentity } from './identify.ts';
import { isAlive, processIdentity } from './process-identity.ts';

/** The facts about an instance that are written when it is created. */
const recordSchema = z.object({
  version: z.literal(1),
  installation: z.string(),
  group: z.string(),
  runner: z.string(),
  hash: z.string(),
  createdAt: z.string(),
});

const endingSchema = z.object({ code: z.number().int().nullable(), signal: z.string().nullable() });

export type InstanceRecord = z.infer<typeof recordSchema>;
export type InstanceEnding = z.infer<typeof endingSchema>;

/** A larger log is truncated to its last KEPT_LOG_BYTES. */
const MAX_LOG_BYTES = 8 * 1024 ** 2;
const KEPT_LOG_BYTES = 1024 ** 2;

/** The age at which leftovers of a process that died while it created or removed a folder are removed. */
const MIN_LEFTOVER_AGE_MS = 600_000;

const REMOVAL_MARK = 'removing';
const CLAIM = /^claim-(\d+)$/;

/**
 * The folder of one instance. A folder appears and disappears by a rename, so that a process which dies at any moment
 * leaves no half-written folder. Its small files are read and written synchronously: through the thread pool that costs many times
 * as much. It contains:
 *
 * - `instance.json`: the facts about the instance
 * - `claim-N`: the spawner that starts it
 * - `starting.json`: its agent is about to be started
 * - `process.json`: its pid and start time
 * - `exit.json`: how it ended
 * - `removing`: Baton is removing it
 * - `log`: its output
 */
export class InstanceFolder {
  readonly path: string;
  readonly #parent: string;

  constructor(parent: string, runner: string) {
    this.#parent = parent;
    this.path = join(parent, runner);
  }

  /** Creates the folder with its record and this spawner's claim. False when it already exists. */
  create(content: InstanceRecord, self: ProcessIdentity): boolean {
    const staged = join(this.#parent, `.new-${randomUUID()}`);
    try {
      mkdirSync(staged, { mode: 0o700 });
      writeFileSync(join(staged, 'instance.json'), JSON.stringify(content));
      writeFileSync(join(staged, 'claim-1'), JSON.stringify(self));
      renameSync(staged, this.path);
      return true;
    } catch (error) {
      rmSync(staged, { recursive: true, force: true });
      if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return false;
      throw toUnavailable(`creating ${this.path}`, error);
    }
  }

  exists(): boolean {
    try {
      lstatSync(this.path);
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw toUnavailable(`looking for ${this.path}`, error);
    }
  }

  /** Undefined when there is no such folder. */
  readRecord(): InstanceRecord | undefined {
    return this.#read('instance.json', recordSchema);
  }

  readProcess(): ProcessIdentity | undefined {
    return this.#read('process.json', processIdentity);
  }

  readEnding(): InstanceEnding | undefined {
    return this.#read('exit.json', endingSchema);
  }

  /** False when the folder has been removed meanwhile. */
  write(name: 'starting.json' | 'process.json' | 'exit.json' | 'bootstrap.json', content: object): boolean {
    const next = join(this.path, `.${name}.${randomUUID()}`);
    try {
      writeFileSync(next, JSON.stringify(content), { mode: name === 'bootstrap.json' ? 0o400 : 0o600 });
      renameSync(next, join(this.path, name));
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw toUnavailable(`writing ${name} of ${this.path}`, error);
    }
  }

  /**
   * Ensures that no other running spawner starts this instance, now or later. A claim is a file created by
   * `link`, which only one process can do for the next number.
   *
   * @returns `ours`, or `theirs` while the spawner that claimed it runs
   */
  claim(self: ProcessIdentity): 'ours' | 'theirs' {
    for (;;) {
      const { last, owner } = this.#readLastClaim();
      if (owner?.pid === self.pid && owner.started === self.started) return 'ours';
      if (owner !== undefined && isAlive(owner)) return 'theirs';
      const next = join(this.path, `.claim.${randomUUID()}`);
      try {
        writeFileSync(next, JSON.stringify(self));
        linkSync(next, join(this.path, `claim-${last + 1}`));
        return 'ours';
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw toUnavailable(`claiming ${this.path}`, error);
      } finally {
        rmSync(next, { force: true });
      }
    }
  }

  /** Whether the spawner that started the instance runs, and with it the worker that learns of its end. */
  isStarterAlive(): boolean {
    const { owner } = this.#readLastClaim();
    return owner !== undefined && isAlive(owner);
  }

  /** Marks the instance, so that other backend processes don't report its end as a death. */
  markRemoval(): void {
    try {
      writeFileSync(join(this.path, REMOVAL_MARK), '');
    } catch {
      // Its folder was removed meanwhile.
    }
  }

  isBeingRemoved(): boolean {
    return this.#has(REMOVAL_MARK);
  }

  /** Whether an agent was started here and began its work: it deletes its bootstrap file. */
  hasAgentRun(): boolean {
    return this.#has('starting.json') && !this.#has('bootstrap.json');
  }

  /** Renames the folder away in one step, then deletes it, and before that what it has elsewhere. */
  async remove(elsewhere: string): Promise<void> {
    const trash = join(this.#parent, `.gone-${randomUUID()}`);
    try {
      await rm(elsewhere, { recursive: true, force: true });
      await rename(this.path, trash);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      throw toUnavailable(`removing ${this.path}`, error);
    }
    try {
      await rm(trash, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      throw toUnavailable(`removing the files of ${this.path}`, error);
    }
  }

  /** Truncates a log that has grown too long; its writers append, so they continue at its new end. */
  async truncateLog(): Promise<void> {
    const file = join(this.path, 'log');
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    if (size <= MAX_LOG_BYTES) return;
    const handle = await open(file, 'r+');
    try {
      const kept = Buffer.alloc(KEPT_LOG_BYTES);
      const { bytesRead } = await handle.read(kept, 0, KEPT_LOG_BYTES, size - KEPT_LOG_BYTES);
      await handle.truncate(0);
      await handle.write(kept, 0, bytesRead, 0);
    } finally {
      await handle.close();
    }
  }

  #has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  #readLastClaim(): { last: number; owner: ProcessIdentity | undefined } {
    const last = Math.max(0, ...this.#list().map((name) => Number(CLAIM.exec(name)?.[1] ?? 0)));
    return { last, owner: this.#read(`claim-${last}`, processIdentity) };
  }

  /** Empty where the folder was removed meanwhile. */
  #list(): string[] {
    try {
      return readdirSync(this.path);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw toUnavailable(`listing ${this.path}`, error);
    }
  }

  #read<T>(name: string, schema: z.ZodType<T>): T | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.path, name), 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw toUnavailable(`reading ${name} of ${this.path}`, error);
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      throw toUnavailable(`reading ${name} of ${this.path}: not the documented shape`, error);
    }
  }
}

/** The names of the folders of all instances. */
export async function listFolders(parent: string): Promise<string[]> {
  try {
    return (await readdir(parent)).filter((name) => !name.startsWith('.'));
  } catch (error) {
    throw toUnavailable(`listing ${parent}`, error);
  }
}

/** Removes old leftovers of processes that died while they created or removed a folder. */
export async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith('.new-') && !name.startsWith('.gone-')) continue;
    const path = join(parent, name);
    const found = await stat(path).catch(() => undefined);
    if (!found || Date.now() - found.mtimeMs <= MIN_LEFTOVER_AGE_MS) continue;
    // A job may have left files that this user may not remove.
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function toUnavailable(doing: string, error: unknown): BatonError {
  return new BatonError('BACKEND_UNAVAILABLE', `${doing}: ${getErrorMessage(error)}`, { cause: error });
}
