import type { DelegationStore } from '../../../contracts/lib/delegation-store.ts';
import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { createDelegationId } from '../../../contracts/lib/delegation-id.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { AuditEntry } from '../../../contracts/messages/audit.ts';
import {
  createDelegatedJob,
  type DelegatedJob,
  type DelegationMessage,
  type JobContext,
} from '../../../contracts/messages/delegation.ts';
import { DelegationStoreLink } from '../../shared/delegation-store-link.ts';
import type { NatsLink } from '../../shared/nats-link.ts';

const CONNECT_TIMEOUT_MS = 8000;
const PUBLISH_TIMEOUT_MS = 8000;
const AUDIT_TIMEOUT_MS = 2000;

/** The answer to a request that delegates a job. */
export interface Accepted {
  id: string;
  status: DelegatedJob['status'];
}

/**
 * Accepts jobs from proxies: publishes them to the stream, then adds them to the delegation store. Keeps no state
 * itself.
 */
export class DelegationIntake {
  readonly #store: DelegationStoreLink;

  constructor(link: NatsLink) {
    this.#store = new DelegationStoreLink(link);
  }

  /**
   * Resolves when the stream has stored the job. The same job twice is one delegation with one id.
   *
   * @throws BatonError BUS_UNAVAILABLE
   */
  async accept(given: JobContext): Promise<Accepted> {
    const id = createDelegationId(given);
    const { environment, matrix, needs, ...context } = given;
    const at = new Date().toISOString();
    const { bus, store } = await this.#connected();
    const known = await store.get(id);
    const message: DelegationMessage = { version: 1, kind: 'requested', id, at: known?.requestedAt ?? at, context };
    await this.#publish(bus, message, given.runnerName);
    if (known !== undefined) return { id, status: known.status };
    // The stream has stored the job: the order of these two does not matter.
    await Promise.all([
      store.putNew(createDelegatedJob(id, context, at), { environment, matrix, needs }),
      this.audit({
        id: `${id}.received`,
        who: `proxy/${given.runnerName}`,
        action: 'requested',
        delegation: id,
        repository: given.repository,
        runId: given.runId,
        outcome: 'ok',
        detail: `job ${given.jobId}, attempt ${given.runAttempt}`,
      }),
    ]);
    return { id, status: 'queued' };
  }

  /** Reports that the proxy's own attempt of the job has ended. Resolves when the stream has stored the report. */
  async reportAttemptEnded(id: string, proxy: string): Promise<void> {
    const { bus } = await this.#connected();
    await this.#publish(bus, { version: 1, kind: 'attempt-over', id, at: new Date().toISOString(), proxy }, proxy);
  }

  async store(): Promise<DelegationStore> {
    return (await this.#connected()).store;
  }

  /** Writes an entry to the audit stream. Never rejects: a missing entry is no reason to refuse a request. */
  async audit(entry: Omit<AuditEntry, 'version' | 'at'>): Promise<void> {
    try {
      const { bus } = await this.#connected();
      const line: AuditEntry = { version: 1, at: new Date().toISOString(), ...entry };
      await publishOnce(bus, subjects.audit(line.action), encode(line), { id: line.id, timeoutMs: AUDIT_TIMEOUT_MS });
    } catch {
      // The orchestrator writes an entry for the same step too.
    }
  }

  async #connected(): Promise<{ bus: Bus; store: DelegationStore }> {
    try {
      return await this.#store.connected(CONNECT_TIMEOUT_MS);
    } catch (error) {
      throw new BatonError('BUS_UNAVAILABLE', `opening the delegation store: ${getErrorMessage(error)}`, {
        cause: error,
      });
    }
  }

  async #publish(bus: Bus, message: DelegationMessage, proxy: string): Promise<void> {
    await publishOnce(bus, subjects.delegation(proxy, message.kind), encode(message), {
      id: `${message.id}.${message.kind}`,
      timeoutMs: PUBLISH_TIMEOUT_MS,
    });
  }
}
