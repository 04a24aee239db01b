import { randomUUID } from 'node:crypto';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { connectBus, encode } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { runnerInbox, subjects } from '../../../contracts/messages/subjects.ts';
import type { RunnerSignal } from '../../../contracts/messages/runner-signal.ts';
import type { HookLine } from '../../lib/hook-line.ts';

/**
 * Publishes a hook's signal directly to NATS, for a runner without an agent. Reads from the environment:
 * - `BATON_NATS_URL`
 * - `BATON_NATS_CREDENTIALS`: a file with a credential for this runner only; not needed if the server requires none
 * - `BATON_NATS_CA`: a PEM file, if the server's authority is not known to this system
 * - `BATON_RUNNER`: the runner's name. Default: `RUNNER_NAME`, which the forge's runner sets
 *
 * @throws BatonError BUS_UNAVAILABLE, also if JetStream does not acknowledge within `line.waitMs`; BUS_DENIED
 */
export async function publishSignal(line: HookLine): Promise<void> {
  const runner = process.env[AGENT_ENV.runner] ?? process.env['RUNNER_NAME'] ?? '';
  // Not checked with a schema, which would add a third to the size of the bundle.
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
}
