import { createHash } from 'node:crypto';
import type { InstanceSpec } from '../../contracts/ports/backend.ts';

/**
 * A fingerprint of an instance's parameters, stored on the instance: a repeated create recognises its own instance by
 * it, and an instance of the same name with other parameters as a conflict. Independent of the order of fields. 32 hex
 * characters.
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
