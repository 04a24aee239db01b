import { join } from 'node:path';
import { BUILT_IN_WRAPPERS, type WrapperSettings } from '../../../contracts/workflows/hook-settings.ts';
import { loadAction, wantsOldNode, type Action, type ActionPhase } from './action-file.ts';

/** The program of the wrappers that come with Baton, in the same folder of the bundle. */
const BUILT_IN_PROGRAM = 'built-in.mjs';

/** A wrapper of the group, with its action. */
export interface Wrapper extends WrapperSettings<string> {
  action: Action;
  /** Set for a wrapper that comes with Baton: the argument of its program. */
  builtIn: string | undefined;
}

/**
 * Reads a wrapper's action.
 *
 * @throws BatonError WRAPPER_INVALID
 */
export async function loadWrapper(settings: WrapperSettings<string>): Promise<Wrapper> {
  if (settings.scripts !== undefined)
    return { ...settings, builtIn: undefined, action: toScriptsAction(settings.scripts) };
  const builtIn = BUILT_IN_WRAPPERS.find((name) => name === settings.uses);
  if (builtIn === undefined) return { ...settings, builtIn, action: await loadAction(settings.uses) };
  const action: Action = {
    name: builtIn,
    folder: import.meta.dirname,
    using: { kind: 'node', version: 24 },
    inputs: new Map(),
    phases: { main: BUILT_IN_PROGRAM, post: BUILT_IN_PROGRAM },
    conditions: { pre: 'always()', post: 'always()' },
    image: '',
    args: [],
    env: {},
  };
  // The recorder must start before any other wrapper.
  if (builtIn === 'resource-usage') action.phases.pre = BUILT_IN_PROGRAM;
  return { ...settings, builtIn, action };
}

/** An administrator's own hook scripts as an action: the started hook is its main, the completed hook its post. */
function toScriptsAction({ started, completed }: NonNullable<WrapperSettings['scripts']>): Action {
  return {
    name: 'hook scripts',
    // Their paths are absolute.
    folder: '',
    using: { kind: 'sh' },
    inputs: new Map(),
    phases: {
      ...(started === undefined ? {} : { main: started }),
      ...(completed === undefined ? {} : { post: completed }),
    },
    conditions: { pre: 'always()', post: 'always()' },
    image: '',
    args: [],
    env: {},
  };
}

/** Names the file of one phase, for people. */
export function describePhaseFile({ action, builtIn }: Wrapper, phase: ActionPhase): string {
  const name = action.phases[phase] ?? '';
  if (builtIn !== undefined) return 'built in';
  if (action.using.kind === 'docker') return name === '' ? action.image : `${action.image}, ${name}`;
  return join(action.folder, name);
}

/** A warning about a wrapper that runs, but on a newer Node than it asks for. */
export function findDeprecation({ action, id }: Wrapper): string | undefined {
  if (!wantsOldNode(action.using) || action.using.kind !== 'node') return undefined;
  return `wrapper ${id} asks for node${action.using.version}, which has reached its end of life: it runs on Node ${process.versions.node} instead`;
}
