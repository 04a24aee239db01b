import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BatonError } from '../../../contracts/errors.ts';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import type { ActionPhase } from './action-file.ts';
import type { ChildCommand } from './child.ts';
import { buildDockerCommand } from './docker-action.ts';
import type { EnvironmentFiles } from './environment-files.ts';
import { evaluateTemplate, type StepsStatus, type ActionExpressionScope } from './expression.ts';
import { findProgram } from './find-program.ts';
import type { Wrapper } from './wrapper.ts';

/** What one phase runs with. */
export interface PhaseInput {
  wrapper: Wrapper;
  phase: ActionPhase;
  /** The hook's environment, with what earlier wrappers added. */
  env: Record<string, string>;
  state: Readonly<Record<string, string>>;
  status: StepsStatus;
  files: EnvironmentFiles;
}

/** What the expressions of a wrapper can refer to. @throws BatonError WRAPPER_INVALID */
export function toActionExpressionScope({
  wrapper,
  env,
  status,
}: Pick<PhaseInput, 'wrapper' | 'env' | 'status'>): ActionExpressionScope {
  const withoutInputs: ActionExpressionScope = { env: { ...env, ...wrapper.env }, inputs: {}, status };
  return { ...withoutInputs, inputs: resolveInputs(wrapper, withoutInputs) };
}

/**
 * The wrapper's inputs by name: the group's values, otherwise the defaults, whose expressions are evaluated.
 *
 * @throws BatonError WRAPPER_INVALID
 */
function resolveInputs({ action, with: given }: Wrapper, scope: ActionExpressionScope): Record<string, string> {
  const inputs = new Map<string, string>();
  for (const [name, input] of action.inputs) inputs.set(name.toLowerCase(), evaluateTemplate(input.default, scope));
  for (const [name, value] of Object.entries(given)) inputs.set(name.toLowerCase(), value);
  return Object.fromEntries(inputs);
}

/** Required inputs without a value. Like the forge's runner, hooks run the action all the same, with a warning. */
export function findMissingInputs({ action, with: given }: Wrapper): string[] {
  const known = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  return [...action.inputs]
    .filter(([name, input]) => input.required && input.default === '' && !known.has(name.toLowerCase()))
    .map(([name]) => name);
}

/**
 * Makes the command that runs one phase.
 *
 * @throws BatonError WRAPPER_INVALID, WRAPPER_FAILED
 */
export async function buildPhaseCommand(input: PhaseInput): Promise<ChildCommand> {
  const { wrapper, phase, files } = input;
  const { action, id } = wrapper;
  const scope = toActionExpressionScope(input);
  const own = {
    ...wrapper.env,
    ...Object.fromEntries(Object.entries(action.env).map(([name, value]) => [name, evaluateTemplate(value, scope)])),
  };
  const env: Record<string, string> = {
    ...input.env,
    ...own,
    ...Object.fromEntries(Object.entries(scope.inputs).map(([name, value]) => [toInputVariable(name), value])),
    ...Object.fromEntries(Object.entries(input.state).map(([name, value]) => [`STATE_${name}`, value])),
    ...files.variables(),
    GITHUB_ACTION: id,
    GITHUB_ACTION_PATH: action.folder,
    BATON_WRAPPER_PHASE: phase,
  };
  if (action.using.kind === 'docker') {
    const args = action.args.map((text) => evaluateTemplate(text, scope));
    return buildDockerCommand({ action, phase, id, env, own, args, files, timeoutMs: wrapper.timeoutMs });
  }
  const workspace = env['GITHUB_WORKSPACE'] ?? '';
  const cwd =
    workspace !== '' && existsSync(workspace) ? workspace : action.folder || dirname(action.phases[phase] ?? '');
  const file = join(action.folder, action.phases[phase] ?? '');
  if (action.using.kind === 'sh') return { ...findShell(env, id), args: ['-e', file], env, cwd };
  const args = wrapper.builtIn === undefined ? [file] : [file, wrapper.builtIn, phase];
  return { file: findNode(action.using.version, wrapper, env), args, env, cwd };
}

/** The name of an input's variable, as on the forge's runner: upper case, with `_` for spaces. */
const toInputVariable = (name: string): string => `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;

function findShell(env: Record<string, string>, id: string): { file: string } {
  const file = findProgram('bash', env['PATH']) ?? findProgram('sh', env['PATH']);
  if (file === undefined) throw new BatonError('WRAPPER_FAILED', `wrapper ${id}: neither bash nor sh is on PATH`);
  return { file };
}

/** The Node of the forge's runner for the action's version, if it has one; otherwise the Node of this process. */
function findNode(version: number, { builtIn }: Wrapper, env: Record<string, string>): string {
  const program = env[AGENT_ENV.programDirectory];
  if (builtIn !== undefined || program === undefined) return process.execPath;
  const bundled = join(program, 'externals', `node${version}`, 'bin', 'node');
  return version >= 20 && existsSync(bundled) ? bundled : process.execPath;
}
