import type { Config } from '../config/config.ts';
import type { SecretRef } from '../config/secret.ts';
import { BatonError } from '../errors.ts';
import { parsePrivateKey } from './private-key.ts';

/** A secret of the configuration whose value is not as it should be. */
interface SecretFinding {
  /** Baton cannot work with the value; otherwise it can, and says what to correct. */
  fatal: boolean;
  /** Names the variable, the key and what to do; never the value. */
  text: string;
}

/**
 * Looks at the values of the configuration's secrets, as far as this process has them.
 *
 * @returns one warning for each value that Baton corrects by itself
 * @throws BatonError SECRET_INVALID with all values that Baton cannot use
 */
export function examineSecrets(config: Config, env: NodeJS.ProcessEnv = process.env): string[] {
  const findings = listSecrets(config).flatMap(({ key, ref, kind }) => {
    const value = env[ref.env];
    if (value === undefined || value === '') return [];
    const finding = kind === 'private key' ? examinePrivateKey(value, ref) : examineText(value, kind);
    return finding === undefined ? [] : [{ ...finding, text: `${key}: the value of ${ref.env} ${finding.text}` }];
  });
  const fatal = findings.filter((finding) => finding.fatal).map(({ text }) => text);
  if (fatal.length > 0) throw new BatonError('SECRET_INVALID', fatal.join('\n'));
  return findings.map(({ text }) => text);
}

type SecretKind = 'private key' | 'webhook secret' | 'token';

function listSecrets({
  forge,
  webhook,
  admin,
  temporal,
  nats,
}: Config): { key: string; ref: SecretRef; kind: SecretKind }[] {
  const token = (key: string, ref: SecretRef | undefined): { key: string; ref: SecretRef; kind: SecretKind }[] =>
    ref === undefined ? [] : [{ key, ref, kind: 'token' }];
  const apps = (forge.apps ?? []).map((app, index) => ({ key: `forge.apps[${index}].private_key`, app }));
  if (forge.app !== undefined) apps.push({ key: 'forge.app.private_key', app: forge.app });
  return [
    ...apps.map(({ key, app }) => ({ key, ref: app.private_key, kind: 'private key' as const })),
    ...webhook.secrets.map((ref, index) => ({
      key: `webhook.secrets[${index}]`,
      ref,
      kind: 'webhook secret' as const,
    })),
    ...token('forge.token', forge.token),
    ...token('admin.metrics_token', admin.metrics_token),
    ...token('temporal.api_key', temporal.api_key),
    ...token('nats.runner_signing_key', nats.runner_signing_key),
  ];
}

function examinePrivateKey(value: string, { env }: SecretRef): SecretFinding | undefined {
  const key = parsePrivateKey(value);
  const command = `export ${env}="$(cat FILE.pem)"`;
  if ('problem' in key) return { fatal: true, text: `${key.problem}. Set the file that GitHub gave you: ${command}` };
  if (key.repaired === null) return undefined;
  return { fatal: false, text: `${key.repaired}. Baton restores the key; to be rid of this warning: ${command}` };
}

function examineText(value: string, kind: Exclude<SecretKind, 'private key'>): SecretFinding | undefined {
  const text = value.trim();
  if (text === '') return { fatal: true, text: 'is nothing but white space. Set it again' };
  if (/^(["']).*\1$/s.test(text)) {
    const advice = 'docker’s --env-file keeps them: write the value without them';
    return { fatal: kind === 'token', text: `has quotation marks around it; ${advice}` };
  }
  if (kind === 'token' && /\s/.test(text)) return { fatal: true, text: 'has white space within it. Set it again' };
  if (text === value) return undefined;
  return { fatal: false, text: 'has white space around it, such as a line break at its end. Baton reads it without' };
}
