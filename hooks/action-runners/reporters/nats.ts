import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { BatonError } from '../../../contracts/errors.ts';
import type { RunnerSignal } from '../../../contracts/messages/runner-signal.ts';
import type { Reporter } from '../manager/report.ts';
import type { RunnerConnection } from './runner-connection.ts';

/** For a runner of Baton: signals `online` to its workflow when the action runs, and `exited` when it has ended. */
export function natsReporter(connection: RunnerConnection, agentVersion: string): Reporter {
  return {
    name: 'nats',
    async report({ name }, { state, at, exit, logTail }, abort) {
      const base = { version: 1 as const, id: randomUUID(), runner: name, at };
      const signal: RunnerSignal =
        state === 'running'
          ? { ...base, kind: 'online', agentVersion, host: hostname().slice(0, 255) }
          : { ...base, kind: 'exited', code: exit?.code ?? null, signal: exit?.signal ?? null, logTail };
      const delivery = await connection.outbox.send(signal, abort);
      if (delivery !== 'delivered') {
        throw new BatonError('BUS_UNAVAILABLE', `signaling that ${name} is ${signal.kind}: the signal was ${delivery}`);
      }
    },
  };
}
