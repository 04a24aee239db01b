import type { z } from 'zod';

/** A field that a schema refused, and why. */
export interface WrongField {
  /** Keys joined by dots, such as `groups.0.max`. */
  path: string;
  message: string;
}

/**
 * Every field that a schema refused; each unknown key is a field of its own.
 *
 * @param whole what to call the value itself, where no single field of it is wrong
 */
export function toWrongFields({ issues }: z.ZodError, whole = '(body)'): WrongField[] {
  return issues.flatMap((issue) => {
    const toPath = (...more: string[]): string => [...issue.path, ...more].map(String).join('.') || whole;
    if (issue.code !== 'unrecognized_keys') return [{ path: toPath(), message: issue.message }];
    return issue.keys.map((key) => ({ path: toPath(key), message: 'unknown key' }));
  });
}

/** All wrong fields as one line, `path: message; path: message`. A message may quote a value: see {@link nameWrongFields}. */
export function describeWrongFields(error: z.ZodError, whole?: string): string {
  return toWrongFields(error, whole)
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ');
}

/** Only the names of the wrong fields, for input that may hold a secret. */
export function nameWrongFields(error: z.ZodError, whole?: string): string {
  return toWrongFields(error, whole)
    .map(({ path }) => path)
    .join(', ');
}
