import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAccount } from '@nats-io/jwt';
import { Registry } from 'prom-client';
import { afterAll, describe, expect, it } from 'vitest';
import { createCredentialMint } from '../../../../activities/credentials/runner-credential.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { createAdminServer } from '../../../../services/shared/admin-server.ts';
import { CredentialExpiry } from '../../../../services/shared/credential-expiry.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const DAY_MS = 24 * 3_600_000;
/** A runner’s credential is valid for this much longer. */
const MARGIN_MS = 15 * 60_000;
const METRIC = 'baton_nats_credentials_expire_timestamp_seconds';

const folder = temporaryFolder('credential-expiry');
afterAll(() => folder.remove());

/** A credentials file that expires at that time. */
async function writeCredential(expiresAt: number): Promise<string> {
  const account = createAccount();
  const seed = new TextDecoder().decode(account.getSeed());
  const mint = createCredentialMint(account.getPublicKey(), seed);
  const file = join(folder.path, 'service.creds');
  writeFileSync(file, await mint({ runner: 'service', expiresAt: new Date(expiresAt - MARGIN_MS).toISOString() }));
  return file;
}

async function look(file: string | undefined): Promise<{ notice: string | null; metric: string; readyz: unknown }> {
  const metrics = new Registry();
  const log = createLogger('test', 'silent');
  const expiry = new CredentialExpiry({ file, log, metrics, now: () => NOW });
  const http = createAdminServer({
    isReady: () => Promise.resolve(true),
    getNotice: () => null,
    getCredentialNotice: () => expiry.notice,
    metrics,
    trustedProxies: [],
    metricsToken: undefined,
    hosts: undefined,
  });
  const readyz: unknown = (await http.inject('/readyz')).json();
  const text = (await http.inject('/metrics')).body;
  await http.close();
  return { notice: expiry.notice, metric: text.split('\n').find((line) => line.startsWith(METRIC)) ?? '', readyz };
}

describe('the expiry of a service’s NATS credential', () => {
  it('is in a metric, and is no problem more than 14 days before', async () => {
    const file = await writeCredential(NOW + 15 * DAY_MS);
    expect(await look(file)).toEqual({
      notice: null,
      metric: `${METRIC} ${(NOW + 15 * DAY_MS) / 1000}`,
      readyz: { status: 'ready' },
    });
  });

  it('is in /readyz from 14 days before, and says what to do', async () => {
    const file = await writeCredential(NOW + 13 * DAY_MS);
    const notice = `the NATS credential in ${file} expires in 13d, at 2026-03-14T00:00:00.000Z: run \`baton setup accounts\` again, and replace the file`;
    expect(await look(file)).toMatchObject({ notice, readyz: { status: 'ready', credential: notice } });
  });

  it('is said to be over when it is over', async () => {
    const file = await writeCredential(NOW - DAY_MS);
    expect((await look(file)).notice).toContain('expired at 2026-02-28T00:00:00.000Z');
  });

  it.each([
    ['no file', () => undefined],
    ['a file that does not exist', () => join(folder.path, 'nowhere')],
    [
      'a file that is no credential',
      () => {
        const file = join(folder.path, 'other');
        writeFileSync(file, '-----BEGIN NATS USER JWT-----\nx.!!!.y\n');
        return file;
      },
    ],
  ])('is unknown for %s', async (_what, file) => {
    expect(await look(file())).toEqual({ notice: null, metric: '', readyz: { status: 'ready' } });
  });
});
