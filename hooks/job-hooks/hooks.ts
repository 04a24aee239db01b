import type { PublishSignal } from './signal/publish.ts';
import type { RunHook } from './wrappers/hook.ts';

/**
 * All that the tiny signal.mjs loads only when it is needed, in one file, so that what both parts need is there once. Each part is
 * evaluated when it is first called.
 */

export const runHook: RunHook = async (...order) => {
  const part = await import('./wrappers/hook.ts');
  return part.runHook(...order);
};

export const publishSignal: PublishSignal = async (line) => {
  const part = await import('./signal/publish.ts');
  return part.publishSignal(line);
};
