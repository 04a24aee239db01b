import type { SecretRef } from '../config/secret.ts';
import { BatonError } from '../errors.ts';

/**
 * The secret's value. Read at the last moment, by the process that needs it.
 *
 * @throws BatonError SECRET_MISSING naming the variable
 */
export function readSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): string {
  const value = env[ref.env];
  if (value === undefined || value === '') {
    throw new BatonError('SECRET_MISSING', `reading a secret: environment variable ${ref.env} is not set`);
  }
  return value;
}
