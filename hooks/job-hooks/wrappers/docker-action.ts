import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Action, ActionPhase } from './action-file.ts';
import type { ChildCommand } from './child.ts';
import type { EnvironmentFiles } from './environment-files.ts';
import { findProgram } from './find-program.ts';

const run = promisify(execFile);

/** How long the engine may take to answer. */
const ENGINE_TIMEOUT_MS = 10_000;

/** The job's variables that are passed to a container, besides the action's own. */
const PASSED_VARIABLES = /^(GITHUB_|RUNNER_|ACTIONS_|INPUT_|STATE_|BATON_WRAPPER_|CI$)/;

/** Paths of the job's folders inside a container, the same as the forge's runner uses. */
const CONTAINER_PATHS = {
  workspace: '/github/workspace',
  workflow: '/github/workflow',
  home: '/github/home',
  files: '/github/file_commands',
} as const;

/**
 * Makes the `docker run` of one phase of a docker action, with the mounts of the forge's runner. The image of a
 * Dockerfile is built when it is first needed.
 *
 * @throws BatonError WRAPPER_FAILED without a docker CLI or engine, or if the build fails
 */
export async function buildDockerCommand(options: {
  action: Action;
  phase: ActionPhase;
  id: string;
  env: Record<string, string>;
  /** The variables of the group and of the action: passed whatever their names. */
  own: Record<string, string>;
  args: string[];
  files: EnvironmentFiles;
  timeoutMs: number;
}): Promise<ChildCommand> {
  const { action, phase, id, env, own } = options;
  const docker = await requireDocker(id, env);
  const image = await resolveImage(action, docker, options);
  const name = `baton-${id}-${phase}-${randomUUID().slice(0, 8)}`.toLowerCase();
  const workspace = env['GITHUB_WORKSPACE'] ?? action.folder;
  const workflow = env['GITHUB_EVENT_PATH'] === undefined ? undefined : resolve(env['GITHUB_EVENT_PATH'], '..');
  const home = join(env['RUNNER_TEMP'] ?? options.files.folder, '_github_home');
  await mkdir(home, { recursive: true });
  const inside: Record<string, string> = {
    ...Object.fromEntries(Object.entries(env).filter(([key]) => PASSED_VARIABLES.test(key))),
    ...own,
    ...options.files.variables(CONTAINER_PATHS.files),
    GITHUB_WORKSPACE: CONTAINER_PATHS.workspace,
    HOME: CONTAINER_PATHS.home,
    ...(workflow === undefined ? {} : { GITHUB_EVENT_PATH: `${CONTAINER_PATHS.workflow}/event.json` }),
  };
  const mounts: (readonly [string, string])[] = [
    [workspace, CONTAINER_PATHS.workspace],
    [home, CONTAINER_PATHS.home],
    [options.files.folder, CONTAINER_PATHS.files],
    ...(workflow === undefined ? [] : [[workflow, CONTAINER_PATHS.workflow] as const]),
  ];
  const entrypoint = action.phases[phase] ?? '';
  return {
    file: docker,
    args: [
      'run',
      '--rm',
      '--init',
      `--name=${name}`,
      `--workdir=${CONTAINER_PATHS.workspace}`,
      ...mounts.flatMap(([from, to]) => ['--volume', `${from}:${to}`]),
      // Only names: values would be visible in the list of processes.
      ...Object.keys(inside).flatMap((key) => ['--env', key]),
      ...(entrypoint === '' ? [] : ['--entrypoint', entrypoint]),
      image,
      ...options.args,
    ],
    env: { ...env, ...inside, HOME: env['HOME'] ?? '/' },
    cwd: action.folder,
    afterKill: () => run(docker, ['rm', '--force', name], { env, timeout: ENGINE_TIMEOUT_MS }),
  };
}

/** Finds the docker CLI and checks that an engine answers. @returns its path @throws BatonError WRAPPER_FAILED */
export async function requireDocker(id: string, env: Record<string, string>): Promise<string> {
  const docker = findProgram('docker', env['PATH']);
  if (docker === undefined) {
    throw new BatonError('WRAPPER_FAILED', `wrapper ${id}: it needs docker, and there is no docker CLI on PATH`);
  }
  try {
    await run(docker, ['version', '--format', '{{.Server.Version}}'], { env, timeout: ENGINE_TIMEOUT_MS });
    return docker;
  } catch (error) {
    const why = getErrorMessage(error).trim().split('\n').at(-1) ?? '';
    throw new BatonError('WRAPPER_FAILED', `wrapper ${id}: it needs docker, and no engine answers: ${why}`);
  }
}

async function resolveImage(
  action: Action,
  docker: string,
  { id, env, timeoutMs }: { id: string; env: Record<string, string>; timeoutMs: number },
): Promise<string> {
  if (action.image.startsWith('docker://')) return action.image.slice('docker://'.length);
  const file = join(action.folder, action.image);
  if (!/(^|\/)Dockerfile[^/]*$/.test(action.image) || !existsSync(file)) return action.image;
  const tag = `baton-wrapper-${createHash('sha256').update(action.folder).digest('hex').slice(0, 16)}`;
  try {
    await run(docker, ['build', '--quiet', '--tag', tag, '--file', file, resolve(file, '..')], {
      env,
      timeout: timeoutMs,
    });
    return tag;
  } catch (error) {
    throw new BatonError('WRAPPER_FAILED', `wrapper ${id}: building ${file}: ${getErrorMessage(error)}`);
  }
}
