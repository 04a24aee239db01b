import { readFile } from 'node:fs/promises';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { RunnerEnvironment } from './runner-environment.ts';

/** What a Manager is to execute. */
export interface ActionRequest {
  name: string;
  platform: Record<string, string>;
  /** Milliseconds; undefined: no limit. */
  timeoutMs: number | undefined;
  /** Not yet trusted: the ActionRunner's schema is next. */
  input: unknown;
}

/**
 * Reads the input manifest and makes the order.
 *
 * @param parse text to a value, not yet trusted
 * @throws BatonError CONFIG_UNREADABLE (no such file), INPUT_INVALID (not what `parse` reads)
 */
export async function readActionRequest(
  settings: RunnerEnvironment,
  parse: (text: string) => unknown,
): Promise<ActionRequest> {
  const { manifest, name, platform, timeoutMs } = settings;
  let text: string;
  try {
    text = await readFile(manifest, 'utf8');
  } catch (error) {
    throw new BatonError('CONFIG_UNREADABLE', `reading input manifest ${manifest}: ${messageOf(error)}`);
  }
  try {
    return { name, platform, timeoutMs, input: parse(text) };
  } catch {
    // The parser's message may quote a secret.
    throw new BatonError('INPUT_INVALID', `reading input manifest ${manifest}: neither YAML nor JSON`);
  }
}
