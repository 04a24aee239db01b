import { type Bus, encode } from '../../contracts/lib/nats.ts';
import type { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { DelegationActivities } from '../../contracts/ports/delegation-activities.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';

const ACK_TIMEOUT_MS = 5000;

/** What others learn of a delegation: its state for the API, its steps for the audit stream. */
export function createRecordActivities(options: {
  bus: Bus;
  store: () => Promise<DelegationStore>;
  /** Given every state that was written, for metrics. */
  observe: (job: DelegatedJob) => void;
}): Pick<DelegationActivities, 'recordDelegation' | 'recordAudit'> {
  const { bus, store, observe } = options;
  const audit = (entry: AuditEntry): Promise<void> => writeAudit(bus, entry);
  return {
    async recordDelegation({ job, audit: entry }) {
      await (await store()).put(job);
      if (entry !== null) await audit(entry);
      observe(job);
    },
    recordAudit: ({ audit: entry }) => audit(entry),
  };
}

/** @throws BatonError BUS_UNAVAILABLE when the stream does not acknowledge */
async function writeAudit(bus: Bus, entry: AuditEntry): Promise<void> {
  try {
    const options = { msgID: entry.id, timeout: ACK_TIMEOUT_MS };
    await bus.jetstream().publish(subjects.audit(entry.action), encode(entry), options);
  } catch (error) {
    throw new BatonError('BUS_UNAVAILABLE', `writing ${entry.id} to the audit stream: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
