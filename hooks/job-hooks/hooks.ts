import type { publishSignal } from './signal/publish.ts';
import type { runGroupHook } from './wrappers/hook.ts';

/** The parts of a hook that signal.mjs loads only when it needs them, so that most hooks start fast. */
export interface HookParts {
  runGroupHook: typeof runGroupHook;
  publishSignal: typeof publishSignal;
}

/**
 * All parts, in one file of the bundle (hooks.mjs), so that the code that they share is in there once. Each part is
 * evaluated at its first call.
 */
export const hookParts: HookParts = {
  runGroupHook: async (kind, settings) => {
    const part = await import('./wrappers/hook.ts');
    return part.runGroupHook(kind, settings);
  },
  publishSignal: async (line) => {
    const part = await import('./signal/publish.ts');
    return part.publishSignal(line);
  },
};
