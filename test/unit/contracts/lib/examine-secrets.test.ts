import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { examineSecrets } from '../../../../contracts/lib/examine-secrets.ts';
import { parseConfig } from '../../../../contracts/lib/load-config.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';

const KEY = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs1', format: 'pem' })
  .toString();
const withToken = parseConfig(aConfigFile(), 'baton.yaml');
const withApp = read('  app: { id: 1, installation: 2, private_key: "${APP_KEY}" }');
const withApps = read(
  '  apps:\n    - { id: 1, installation: 2, private_key: "${KEY_1}" }\n    - { id: 3, installation: 4, private_key: "${KEY_3}" }',
);

describe('the secrets of a configuration', () => {
  it('are fine, or not set here', () => {
    expect(examineSecrets(withApp, { APP_KEY: KEY, SECRET: 'sesame' })).toEqual([]);
    expect(examineSecrets(withToken, { TOKEN: 'ghp_1', SECRET: 'two words' })).toEqual([]);
    expect(examineSecrets(withToken, { SECRET: '' })).toEqual([]);
  });

  it('are used with a warning that names key, variable and remedy where nothing of them is lost', () => {
    expect(examineSecrets(withApp, { APP_KEY: KEY.replaceAll('\n', ' '), SECRET: 'sesame\n' })).toEqual([
      'forge.app.private_key: the value of APP_KEY has lost its line breaks. Baton restores the key; to be rid of this ' +
        'warning: export APP_KEY="$(cat FILE.pem)"',
      'webhook.secrets[0]: the value of SECRET has white space around it, such as a line break at its end. Baton reads it ' +
        'without',
    ]);
    expect(examineSecrets(withToken, { TOKEN: ' ghp_1\n', SECRET: '"sesame"' })).toEqual([
      expect.stringMatching(/^webhook.secrets\[0\]: the value of SECRET has quotation marks around it/),
      expect.stringMatching(/^forge.token: the value of TOKEN has white space around it/),
    ]);
  });

  it('are refused all at once where Baton cannot use them, and never shown', () => {
    const env = { KEY_1: 'sesame', KEY_3: KEY.slice(0, 300), SECRET: ' \n' };
    expect(() => examineSecrets(withApps, env)).toThrow(
      expect.objectContaining({
        code: 'SECRET_INVALID',
        message: expect.stringMatching(
          /^forge.apps\[0\].private_key: the value of KEY_1 is no PEM.*\nforge.apps\[1\].private_key: the value of KEY_3 is cut off.*\nwebhook.secrets\[0\]: the value of SECRET is nothing but white space/,
        ),
      }),
    );
    expect(() => examineSecrets(withApps, env)).toThrow(/^(?!.*(sesame|MII))/s);
  });

  it.each(['ghp_1 ghp_2', '"ghp_1"'])('refuse the token %s, which no header may contain', (TOKEN) => {
    expect(() => examineSecrets(withToken, { TOKEN })).toThrow(/forge.token: the value of TOKEN has (white|quot)/);
  });
});

function read(forge: string): typeof withToken {
  return parseConfig(aConfigFile({ forge }), 'baton.yaml');
}
