import { readFileSync } from 'node:fs';
import type { InstanceTls } from '../../contracts/messages/bootstrap-file.ts';
import type { NatsTls } from '../../contracts/config/tls.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';

/**
 * How instances check the NATS server's certificate: as services do. They don't get the services' own certificate (`cert`, `key`).
 *
 * @throws BatonError CONFIG_UNREADABLE
 */
export function readInstanceTls(tls: NatsTls): InstanceTls | undefined {
  if (tls === false) return undefined;
  if (tls === true || tls.ca === undefined) return true;
  try {
    return { authority: readFileSync(tls.ca, 'utf8') };
  } catch (error) {
    throw new BatonError('CONFIG_UNREADABLE', `reading nats.tls.ca: ${getErrorMessage(error)}`, { cause: error });
  }
}
