import { readFileSync } from 'node:fs';
import type { TLSConfig } from '@temporalio/client';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import type { TemporalConfig } from '../../contracts/config/servers.ts';
import type { TemporalTls } from '../../contracts/config/tls.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';

/**
 * Connection options for Temporal's workers and clients.
 *
 * @throws BatonError SECRET_MISSING; CONFIG_UNREADABLE for a certificate file
 */
export function toTemporalOptions(config: TemporalConfig): {
  address: string;
  tls?: boolean | TLSConfig;
  apiKey?: string;
} {
  return {
    address: config.address,
    ...(config.tls === false ? {} : { tls: config.tls === true || readTls(config.tls) }),
    ...(config.api_key ? { apiKey: readSecret(config.api_key) } : {}),
  };
}

function readTls(tls: Exclude<TemporalTls, boolean>): TLSConfig {
  return {
    ...(tls.server_name === undefined ? {} : { serverNameOverride: tls.server_name }),
    ...(tls.ca === undefined ? {} : { serverRootCACertificate: readCertificate(tls.ca) }),
    ...(tls.cert === undefined || tls.key === undefined
      ? {}
      : { clientCertPair: { crt: readCertificate(tls.cert), key: readCertificate(tls.key) } }),
  };
}

function readCertificate(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new BatonError(
      'CONFIG_UNREADABLE',
      `reading a certificate for Temporal, ${file}: ${getErrorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}
