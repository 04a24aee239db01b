import { execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { acquireLock } from '../../contracts/lib/file-lock.mjs';
import { goInstall } from './build.ts';
import { isAtLeast, getPlatform, getServerPlan, type ServerName, type ServerPlan } from './catalog.ts';
import { downloadServer } from './download.ts';
import { startStepProgress, type StepProgress } from './progress.ts';

export type { ServerName } from './catalog.ts';

export type AcquiredServer =
  /** The server runs already, at this address. */
  | { kind: 'address'; address: string }
  /** The server is to be started with this program. */
  | { kind: 'program'; path: string; from: 'PATH' | 'cache' | 'download' | 'go install' };

const run = promisify(execFile);

/**
 * Gets a server in the cheapest way: an address in the environment (BATON_TEMPORAL_ADDRESS, BATON_NATS_URL), a program on PATH
 * that is new enough, Baton's cache, the vendor's download (its SHA-256 is checked), `go install` at the pinned version. What was
 * downloaded or built stays in the cache. Shows its progress on stderr when it takes long.
 *
 * @throws BatonError SERVER_UNAVAILABLE with every way that was tried, and why it failed
 */
export async function acquireServer(name: ServerName, env: NodeJS.ProcessEnv = process.env): Promise<AcquiredServer> {
  const plan = getServerPlan(name);
  const address = env[plan.addressVariable];
  if (address) return { kind: 'address', address };
  const tried = [`${plan.addressVariable} is not set`];

  const onPath = await findOnPath(plan, env, tried);
  if (onPath !== undefined) return { kind: 'program', path: onPath, from: 'PATH' };

  const cache = findCacheFolder(env);
  const { os, arch } = getPlatform();
  const cached = join(cache, `${name}-${plan.version}-${os}-${arch}`);
  if (isProgram(cached)) return { kind: 'program', path: cached, from: 'cache' };
  tried.push(`cache: ${cached} does not exist`);

  mkdirSync(cache, { recursive: true });
  const progress = startStepProgress(`getting ${plan.title} ${plan.version}`, process.stderr);
  const lock = await acquireLock(`${cached}.lock`, {
    onWait: (pid) => progress.update(`another process${pid ? ` (${pid})` : ''} is doing this`),
  });
  try {
    if (isProgram(cached)) return { kind: 'program', path: cached, from: 'cache' };
    const from = await downloadOrBuild(plan, cache, cached, tried, progress);
    progress.done(from === 'download' ? 'downloaded' : 'built');
    return { kind: 'program', path: cached, from };
  } catch (error) {
    progress.done('failed');
    throw error;
  } finally {
    lock.release();
  }
}

async function downloadOrBuild(
  plan: ServerPlan,
  cache: string,
  cached: string,
  tried: string[],
  progress: StepProgress,
): Promise<'download' | 'go install'> {
  const scratch = mkdtempSync(join(cache, `.${plan.name}-`));
  try {
    try {
      progress.update('downloading');
      const target = join(scratch, plan.name);
      await downloadServer(plan, target, (bytes, total) => {
        progress.update(
          `downloading, ${toMegabytes(bytes)}${total === undefined ? '' : ` of ${toMegabytes(total)}`} MB`,
        );
      });
      await checkVersion(target, plan);
      renameSync(target, cached);
      return 'download';
    } catch (error) {
      tried.push(`download: ${getErrorMessage(error)}`);
    }
    try {
      progress.update('download failed; building it with go, which takes a few minutes');
      const built = await goInstall(plan, join(scratch, 'bin'), scratch);
      await checkVersion(built, plan);
      renameSync(built, cached);
      return 'go install';
    } catch (error) {
      tried.push(`go install: ${getErrorMessage(error)}`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  throw new BatonError(
    'SERVER_UNAVAILABLE',
    `getting ${plan.title}:\n${tried.map((way) => `  - ${way}`).join('\n')}\n` +
      `Put a ${plan.name} ≥ ${plan.minimum} on PATH, or start one and set ${plan.addressVariable}.`,
    { details: { server: plan.name, tried } },
  );
}

/** `baton/servers` in `$XDG_CACHE_HOME` or `~/.cache`, else in the folder for temporary files. */
export function findCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const home = env['HOME'] || homedir();
  const base = env['XDG_CACHE_HOME'] || (home && home !== '/' ? join(home, '.cache') : tmpdir());
  return join(base, 'baton', 'servers');
}

async function findOnPath(plan: ServerPlan, env: NodeJS.ProcessEnv, tried: string[]): Promise<string | undefined> {
  const programs = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, plan.name))
    .filter(isProgram);
  if (programs.length === 0) tried.push(`PATH: ${plan.name} not found`);
  for (const program of programs) {
    try {
      await checkVersion(program, plan);
      return program;
    } catch (error) {
      tried.push(`PATH: ${getErrorMessage(error)}`);
    }
  }
  return undefined;
}

async function checkVersion(program: string, plan: ServerPlan): Promise<void> {
  const { stdout } = await run(program, plan.versionArgs, { timeout: 15_000 });
  const version = plan.versionPattern.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${program} does not print its version: ${stdout.trim().slice(0, 100)}`);
  if (!isAtLeast(version, plan.minimum)) throw new Error(`${program} is ${version}, older than ${plan.minimum}`);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function toMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
