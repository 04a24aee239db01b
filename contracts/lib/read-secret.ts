import type { SecretRef } from '../config/secret.ts';
import { BatonError } from '../errors.ts';

/**
 * Reads the secret's value from the environment. Only the process that needs a secret reads it, and as late as possible.
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
