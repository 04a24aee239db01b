import { createHash } from 'node:crypto';

/** 12 hex digits that are the same for equal parsed configurations or parts. They depend on names of secrets, not on values. */
export function hashConfig(config: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(config) ?? '')
    .digest('hex')
    .slice(0, 12);
}
