import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCredentialMint } from '../../../activities/credentials/runner-credential.ts';
import { connectBus, encode } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { jobPayload } from '../../fixtures/payload.ts';
import { sendWebhook } from '../../support/webhook-sender.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { startRelayWorld, type RelayWorld } from './world.ts';

const folder = temporaryFolder('credentials');
let setup: OperatorSetup;
let world: RelayWorld;
let ingress: TestService;
let relay: TestService;

beforeAll(async () => {
  setup = await createOperatorSetup(join(folder.path, 'nats'));
  const nats = await startNats({ operator: setup });
  world = await startRelayWorld({ secured: { nats, operator: join(folder.path, 'nats') } });
  const { config } = world;
  [ingress, relay] = await Promise.all([
    startService('ingress', {
      config,
      env: { WEBHOOK_SECRET: 'first secret', BATON_NATS_CREDENTIALS: setup.credentials.ingress },
    }),
    startService('relay', {
      config,
      env: { BATON_NATS_CREDENTIALS: setup.credentials.relay, BATON_NATS_SERVER_LOG: nats.log },
    }),
  ]);
  await Promise.all([ingress.ready(), relay.ready()]);
});

afterAll(async () => {
  await Promise.all([ingress?.kill(), relay?.kill()]);
  await world?.stop();
  folder.remove();
});

describe('ingress and relay with their own NATS credentials', () => {
  it('handle webhooks with only their own permissions', async () => {
    const job = jobPayload('queued');
    expect((await sendWebhook(ingress.address, JSON.stringify(job))).status).toBe(202);
    const unserved = jobPayload('queued', { labels: ['sparc'] });
    expect((await sendWebhook(ingress.address, JSON.stringify(unserved))).status).toBe(202);
    await world.untilQueuesEmpty();
    expect((await world.dispatcherSignals('linux')).flat()).toMatchObject([{ type: 'job', job: { jobId: 289782451 } }]);
    expect(await relay.metric('baton_relay_dead_letters_total', { code: 'NO_GROUP' })).toBe(1);
    expect(await relay.metric('baton_relay_lag_messages')).toBe(0);
  });

  it('deliver a signal that a runner publishes with its own credential to its workflow', async () => {
    const runner = `runner-manager-linux-${randomUUID().slice(0, 8)}`;
    await world.startRunner('linux', runner);
    const user = createUser();
    const signer = fromSeed(new TextEncoder().encode(setup.runnerSigningKeySeed));
    const jwt = await encodeUser(runner, user, setup.runnerAccountPublicKey, {}, { signer, scopedUser: true });
    const credentials = new TextDecoder().decode(fmtCreds(jwt, user));
    const bus = await connectBus({ url: world.nats.address, name: runner, credentials });
    const signal = {
      version: 1,
      id: randomUUID(),
      runner,
      at: new Date().toISOString(),
      kind: 'online',
      agentVersion: '1',
      host: 'h',
    };
    await bus.jetstream().publish(subjects.signal(runner, 'online'), encode(signal), { msgID: signal.id });
    await bus.close();
    await world.untilQueuesEmpty();
    expect((await world.runnerSignals('linux', runner)).flat()).toEqual([{ type: 'signal', signal }]);
  });

  it('refuse and count signals that a job publishes as another runner', async () => {
    const [job, victim] = [
      `runner-manager-linux-${randomUUID().slice(0, 8)}`,
      `runner-manager-linux-${randomUUID().slice(0, 8)}`,
    ];
    await world.startRunner('linux', victim);
    const expiresAt = new Date(Date.now() + 600_000).toISOString();
    const mint = createCredentialMint(setup.runnerAccountPublicKey, setup.runnerSigningKeySeed);
    const bus = await connectBus({
      url: world.nats.address,
      name: victim,
      credentials: await mint({ runner: job, expiresAt }),
    });
    const forged = {
      version: 1,
      id: randomUUID(),
      runner: victim,
      at: expiresAt,
      kind: 'exited',
      code: 0,
      signal: null,
      logTail: '',
    };
    // On the other runner's subject: the NATS server refuses these.
    bus.publish(subjects.signal(victim, 'exited'), encode(forged));
    bus.publish(subjects.instanceDied(victim), encode(forged));
    bus.publish(subjects.register(victim), encode(forged));
    // On its own subject with the other runner's name: the relay refuses this.
    await bus.jetstream().publish(subjects.signal(job, 'exited'), encode(forged), { msgID: forged.id });
    await bus.close();
    await world.untilQueuesEmpty();
    for (const what of ['signal', 'instance', 'register']) {
      const counted = () => relay.metric('baton_relay_refused_total', { operation: 'publish', what });
      await expect.poll(counted, { timeout: 60_000 }).toBe(1);
    }
    expect(await relay.metric('baton_relay_dead_letters_total', { code: 'SIGNAL_FORGED' })).toBe(1);
    expect(await world.runnerSignals('linux', victim)).toEqual([]);
  });

  it('work again after the NATS server restarted', async () => {
    await world.nats.halt();
    await Promise.all([ingress.ready(false), relay.ready(false)]);
    await world.nats.resume();
    await Promise.all([ingress.ready(), relay.ready()]);
    expect((await sendWebhook(ingress.address, JSON.stringify(jobPayload('waiting')))).status).toBe(202);
    await expect.poll(async () => (await world.dispatcherSignals('linux')).flat().length).toBe(2);
  });

  it('stop with exit code 0 on SIGTERM', async () => {
    expect(await Promise.all([ingress.stop(), relay.stop()])).toEqual([0, 0]);
  });
});
