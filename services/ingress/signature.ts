import { Webhooks } from '@octokit/webhooks';
import { type SecretRef } from '../../contracts/config/secret.ts';
import { readExactSecret, readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';

/** Whether a signature is valid, or else why not, as far as it can be told. */
export type SignatureResult = { valid: true } | { valid: false; reason: string };

/** Examines `signature` (the header `X-Hub-Signature-256`): it must be for exactly this body, with one of the secrets. */
export type SignatureCheck = (body: string, signature: string) => Promise<SignatureResult>;

/**
 * Accepts each of the given secrets, so that they can be rotated without losing a delivery; with white space around it also
 * exactly as it was set, since the forge may have it so too. Skips a secret whose variable is not set, with a warning: it is
 * the old or the new secret of a rotation.
 *
 * @throws BatonError SECRET_MISSING when no variable is set
 */
export function createSignatureCheck(
  refs: readonly SecretRef[],
  log: Logger,
  env: NodeJS.ProcessEnv = process.env,
): SignatureCheck {
  const secrets = new Set<string>();
  for (const ref of refs) {
    try {
      secrets.add(readSecret(ref, env)).add(readExactSecret(ref, env));
    } catch (error) {
      log.warn({ variable: ref.env }, getErrorMessage(error));
    }
  }
  if (secrets.size === 0) {
    const names = refs.map((ref) => ref.env).join(', ');
    throw new BatonError('SECRET_MISSING', `reading the webhook secrets: none of ${names} is set`);
  }
  const accepted = toVerifier([...secrets]);
  const withLineBreak = toVerifier([...secrets].map((secret) => `${secret}\n`));
  return async (body, signature) => {
    // The library throws for an empty body and for an empty signature.
    if (signature === '') return { valid: false, reason: 'the signature is empty' };
    if (body === '') return { valid: false, reason: 'the body is empty' };
    if (await accepted(body, signature)) return { valid: true };
    return (await withLineBreak(body, signature))
      ? { valid: false, reason: 'the secret on the forge ends with a line break; set it there again, without' }
      : {
          valid: false,
          reason: 'the signature does not match: the forge has another secret, or a proxy changes the body',
        };
  };
}

function toVerifier(secrets: readonly string[]): (body: string, signature: string) => Promise<boolean> {
  const verifiers = secrets.map((secret) => new Webhooks({ secret }));
  return async (body, signature) => {
    for (const verifier of verifiers) if (await verifier.verify(body, signature)) return true;
    return false;
  };
}
