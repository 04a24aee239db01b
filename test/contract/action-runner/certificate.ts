import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  key: string;
  cert: string;
}

/** Makes a self-signed certificate with OpenSSL in that folder: `tls.crt` and `tls.key`. */
export function makeCertificate(folder: string, name = 'IP:127.0.0.1'): Certificate {
  const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
  mkdirSync(folder, { recursive: true });
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${name}`];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const args = ['req', '-x509', ...curve, '-days', '2', ...subject, '-keyout', key, '-out', cert];
  execFileSync('openssl', args, { stdio: 'pipe' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
