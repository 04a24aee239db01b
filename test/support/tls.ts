import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OperatorSetup } from '../../deploy/nats/operator.ts';
import { makeCertificate } from '../contract/action-runner/certificate.ts';

/** Writes a server configuration with TLS. `tls.crt` in the folder is a self-signed certificate for `localhost`. */
export function writeTlsConfig(operator: OperatorSetup, folder: string): { serverConfigFile: string } {
  makeCertificate(folder, 'DNS:localhost');
  const tls = `tls { cert_file: "${join(folder, 'tls.crt')}", key_file: "${join(folder, 'tls.key')}" }`;
  const serverConfigFile = join(folder, 'server-tls.conf');
  writeFileSync(serverConfigFile, `${readFileSync(operator.serverConfigFile, 'utf8')}\n${tls}\n`);
  return { serverConfigFile };
}
