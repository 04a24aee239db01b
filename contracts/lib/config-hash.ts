import { createHash } from 'node:crypto';

/** Tells whether two parsed configurations (or parts of them) are the same: 12 hex digits. Names of secrets only, no values. */
export function hashConfig(config: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(config) ?? '')
    .digest('hex')
    .slice(0, 12);
}
