import type { SecretRef } from '../config/secret.ts';
import { BatonError } from '../errors.ts';
import { parsePrivateKey } from './private-key.ts';

/**
 * Reads the secret's value from the environment. Only the process that needs a secret reads it, and as late as possible.
 * Without white space around it: `$(cat FILE)`, Kubernetes and editors leave a line break at the end.
 *
 * @throws BatonError SECRET_MISSING naming the variable
 */
export function readSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): string {
  const value = readExactSecret(ref, env).trim();
  if (value === '') throw new BatonError('SECRET_MISSING', `reading a secret: ${ref.env} has only white space`);
  return value;
}

/**
 * {@link readSecret} exactly as it was set: for users' own secrets, such as an SSH key, which must end with a line break.
 *
 * @throws BatonError SECRET_MISSING naming the variable
 */
export function readExactSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): string {
  const value = env[ref.env];
  if (value === undefined || value === '') {
    throw new BatonError('SECRET_MISSING', `reading a secret: environment variable ${ref.env} is not set`);
  }
  return value;
}

/**
 * Reads a GitHub App's private key as PEM with line breaks, in whatever form the variable holds it.
 *
 * @throws BatonError SECRET_MISSING, SECRET_INVALID naming the variable
 */
export function readPrivateKey(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): string {
  const key = parsePrivateKey(readSecret(ref, env));
  if ('pem' in key) return key.pem;
  throw new BatonError('SECRET_INVALID', `reading a private key: the value of ${ref.env} ${key.problem}`);
}
