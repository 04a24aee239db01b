import { readFile } from 'node:fs/promises';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { RunnerEnvironment } from './runner-environment.ts';

/** What a Manager shall execute. */
export interface ActionRequest {
  name: string;
  platform: Record<string, string>;
  /** Milliseconds; undefined: no limit. */
  timeoutMs: number | undefined;
  /** Not validated yet: the ActionRunner's schema does that. */
  input: unknown;
}

/**
 * Reads the input manifest.
 *
 * @param parse turns its text into a value
 * @throws BatonError CONFIG_UNREADABLE (no such file), INPUT_INVALID (`parse` throws)
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
    throw new BatonError('CONFIG_UNREADABLE', `reading input manifest ${manifest}: ${getErrorMessage(error)}`);
  }
  try {
    return { name, platform, timeoutMs, input: parse(text) };
  } catch {
    // The parser's message may quote a secret.
    throw new BatonError('INPUT_INVALID', `reading input manifest ${manifest}: neither YAML nor JSON`);
  }
}
