import { z } from 'zod';

const REFERENCE = /^\$\{([A-Z_][A-Z0-9_]*)\}$/;

/** A secret in the configuration: the environment variable that holds it. */
export interface SecretRef {
  env: string;
}

/** Secrets are written as `${NAME}` and read from the environment of the process that uses them. */
export const secretRef = z
  .string()
  .regex(REFERENCE, 'secrets do not belong in a file: write ${NAME} and set that environment variable')
  .transform((text): SecretRef => ({ env: REFERENCE.exec(text)?.[1] ?? '' }));
