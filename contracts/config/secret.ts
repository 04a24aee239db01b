import { z } from 'zod';
import { BatonError } from '../errors.ts';

const REFERENCE = /^\$\{([A-Z_][A-Z0-9_]*)\}$/;

/** A secret as the configuration names it: where it is, not what it is. */
export interface SecretRef {
  env: string;
}

/** Secrets are written `${NAME}` and come from the environment of the one process that uses them. */
export const secretRef = z
  .string()
  .regex(REFERENCE, 'secrets do not belong in a file: write ${NAME} and set that environment variable')
  .transform((text): SecretRef => ({ env: REFERENCE.exec(text)?.[1] ?? '' }));

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
