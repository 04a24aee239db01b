import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { DelegationStore } from '../../../contracts/lib/delegation-store.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { createDelegationId } from '../../../contracts/lib/delegation-id.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { AuditEntry } from '../../../contracts/messages/audit.ts';
import {
  createDelegatedJob,
  type DelegatedJob,
  type DelegationMessage,
  type JobContext,
} from '../../../contracts/messages/delegation.ts';
import type { NatsLink } from '../../shared/nats-link.ts';

const PUBLISH_TIMEOUT_MS = 8000;

/** What a delegation is answered with. */
export interface Accepted {
  id: string;
  status: DelegatedJob['status'];
}

/** Takes jobs from proxies: onto the bus first, then to where their state is read. Keeps nothing itself. */
export class DelegationIntake {
  readonly #link: NatsLink;
  #opened: { bus: Bus; store: DelegationStore } | undefined;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  /**
   * Resolves when the stream has the job. The same job twice is one, and has the same id.
   *
   * @throws BatonError BUS_UNAVAILABLE
   */
  async accept(given: JobContext): Promise<Accepted> {
    const id = createDelegationId(given);
    const { environment, matrix, needs, ...context } = given;
    const at = new Date().toISOString();
    const { bus, store } = await this.#open();
    const known = await store.get(id);
    const message: DelegationMessage = { version: 1, kind: 'requested', id, at: known?.requestedAt ?? at, context };
    await this.#publish(bus, message, given.runnerName);
    if (known !== undefined) return { id, status: known.status };
    // The job is on disk: what is told of it may go side by side.
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

  /** A proxy's word that its attempt is over. Resolves when the stream has it. */
  async reportAttemptEnded(id: string, proxy: string): Promise<void> {
    const { bus } = await this.#open();
    await this.#publish(bus, { version: 1, kind: 'attempt-over', id, at: new Date().toISOString(), proxy }, proxy);
  }

  async store(): Promise<DelegationStore> {
    return (await this.#open()).store;
  }

  /** Writes a line to the audit stream; one that can't be written is no reason to refuse anybody. */
  async audit(entry: Omit<AuditEntry, 'version' | 'at'>): Promise<void> {
    try {
      const { bus } = await this.#open();
      const line: AuditEntry = { version: 1, at: new Date().toISOString(), ...entry };
      await publishOnce(bus, subjects.audit(line.action), encode(line), { id: line.id, timeoutMs: 2000 });
    } catch {
      // The orchestrator writes the same step again.
    }
  }

  async #open(): Promise<{ bus: Bus; store: DelegationStore }> {
    try {
      const bus = await this.#link.connected(PUBLISH_TIMEOUT_MS);
      if (this.#opened?.bus !== bus) this.#opened = { bus, store: await DelegationStore.open(bus) };
      return this.#opened;
    } catch (error) {
      throw new BatonError('BUS_UNAVAILABLE', `opening the store of delegations: ${messageOf(error)}`, {
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
