import { z } from 'zod';

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
