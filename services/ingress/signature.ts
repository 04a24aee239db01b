import { Webhooks } from '@octokit/webhooks';
import { type SecretRef } from '../../contracts/config/secret.ts';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';

/**
 * Resolves whether `signature` (the header `X-Hub-Signature-256`) is valid for exactly this body and one of the
 * secrets.
 */
export type SignatureCheck = (body: string, signature: string) => Promise<boolean>;

/**
 * Accepts each of the given secrets, so that they can be rotated without losing a delivery. Skips a secret whose
 * variable is not set, with a warning: it is the old or the new secret of a rotation.
 *
 * @throws BatonError SECRET_MISSING when no variable is set
 */
export function createSignatureCheck(
  refs: readonly SecretRef[],
  log: Logger,
  env: NodeJS.ProcessEnv = process.env,
): SignatureCheck {
  const verifiers: Webhooks[] = [];
  for (const ref of refs) {
    try {
      verifiers.push(new Webhooks({ secret: readSecret(ref, env) }));
    } catch (error) {
      log.warn({ variable: ref.env }, getErrorMessage(error));
    }
  }
  if (verifiers.length === 0) {
    const names = refs.map((ref) => ref.env).join(', ');
    throw new BatonError('SECRET_MISSING', `reading the webhook secrets: none of ${names} is set`);
  }
  return async (body, signature) => {
    // The library throws for an empty body.
    if (body === '') return false;
    for (const verifier of verifiers) if (await verifier.verify(body, signature)) return true;
    return false;
  };
}
