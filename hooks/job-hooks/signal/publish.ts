import { randomUUID } from 'node:crypto';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { connectBus, encode } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { runnerInbox, subjects } from '../../../contracts/messages/subjects.ts';
import type { RunnerSignal } from '../../../contracts/messages/runner-signal.ts';
import type { HookLine } from '../../lib/hook-line.ts';

export type PublishSignal = (line: HookLine) => Promise<void>;

/**
 * Publishes a hook's signal by itself, for a runner without an agent: `BATON_NATS_URL`, `BATON_NATS_CREDENTIALS` (a file
 * with a credential that is limited to this runner; may be unset where NATS asks for none), `BATON_NATS_CA` (a PEM file, where
 * the server's authority is not one of the system's) and the runner's name from `BATON_RUNNER`, else `RUNNER_NAME`, which the forge's runner sets.
 *
 * @throws BatonError BUS_UNAVAILABLE, also when JetStream doesn't acknowledge within `line.waitMs`; BUS_DENIED
 */
export const publishSignal: PublishSignal = async (line) => {
  const runner = process.env[AGENT_ENV.runner] ?? process.env['RUNNER_NAME'] ?? '';
  // Made here, not read: checking it would cost a schema library in a third of the bundle.
  const signal: RunnerSignal = {
    version: 1,
    id: randomUUID(),
    runner,
    at: new Date().toISOString(),
    kind: line.kind,
    job: line.job,
  };
  const authority = process.env[AGENT_ENV.natsAuthority];
  const bus = await connectBus({
    url: process.env[AGENT_ENV.natsUrl] ?? '',
    tls: authority ? { ca: authority } : undefined,
    name: `hook ${runner}`,
    credentialsFile: process.env[AGENT_ENV.natsCredentials],
    inboxPrefix: runnerInbox(runner),
    waitForServer: false,
  });
  const options = { id: signal.id, timeoutMs: Math.max(1, line.waitMs) };
  await publishOnce(bus, subjects.signal(runner, signal.kind), encode(signal), options);
  await bus.close();
};
