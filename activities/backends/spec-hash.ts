import { createHash } from 'node:crypto';
import type { InstanceSpec } from '../../contracts/ports/backend.ts';

/**
 * A fingerprint of an instance's parameters, kept on the instance: a repeated create finds its own by it, and one of the
 * same name with other parameters is told apart. Doesn't depend on the order of fields. Hex, 32 characters.
 */
export function hashSpec(spec: InstanceSpec): string {
  return createHash('sha256')
    .update(JSON.stringify(sortKeys(spec)))
    .digest('hex')
    .slice(0, 32);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, sortKeys(field)]));
}
