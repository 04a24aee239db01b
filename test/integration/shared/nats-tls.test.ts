import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { startNatsServer, type NatsServer } from '../../../deploy/servers/nats.ts';
import { connectBus } from '../../../contracts/lib/nats.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A client whose configuration says `tls` never talks to a server without it: somebody may be on the way. */

const folder = temporaryFolder('nats-tls');
let setup: OperatorSetup;
let server: NatsServer;
const fakes: Server[] = [];

beforeAll(async () => {
  setup = await createOperatorSetup(folder.path);
  server = await startNatsServer({ dir: join(folder.path, 'server'), operator: setup });
});
afterAll(async () => {
  for (const fake of fakes) fake.close();
  await server?.stop();
  folder.remove();
});

/** Somebody on the way: answers with that first line, and keeps what the client then says. */
async function startFake(info: object): Promise<{ url: string; received: () => string }> {
  const received: string[] = [];
  const fake = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      received.push(data.toString('latin1'));
      socket.write('+OK\r\nPONG\r\n');
    });
    socket.write(
      `INFO ${JSON.stringify({ server_id: 'X', version: '2.12.0', proto: 1, max_payload: 1e6, nonce: 'n', ...info })}\r\n`,
    );
  });
  fakes.push(fake);
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  const address = fake.address();
  if (address === null || typeof address === 'string') throw new Error('the fake has no port');
  return { url: `nats://127.0.0.1:${address.port}`, received: () => received.join('') };
}

const connectTo = (url: string, tls?: true) =>
  connectBus({
    url,
    tls,
    name: 'test',
    waitForServer: false,
    credentials: readFileSync(setup.credentials.relay, 'utf8'),
  });

describe('a connection to a NATS server without TLS', () => {
  it('is refused where the configuration says `tls`, and made where it does not', async () => {
    await expect(connectTo(server.url, true)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    const bus = await connectTo(server.url);
    expect(bus.info?.tls_required).toBeUndefined();
    await bus.close();
  });

  it.each([
    ['that says nothing of TLS', {}],
    ['whose `tls_available` is a text', { tls_available: 'yes' }],
    ['whose `tls_available` is a number', { tls_available: 1 }],
  ])('is refused before the credential is shown to one %s', async (_what, info) => {
    const fake = await startFake(info);
    await expect(connectTo(fake.url, true)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    expect(fake.received()).not.toContain('CONNECT');
    // Control: this fake gets the credential of a client that does not require TLS.
    const bus = await connectTo(fake.url).catch(() => undefined);
    expect(fake.received()).toContain('"jwt"');
    await bus?.close();
  });
});
