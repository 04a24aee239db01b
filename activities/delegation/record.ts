import { type Bus, encode } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import type { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';

const ACK_TIMEOUT_MS = 5000;

/** Activities that record a delegation: its state for the API, its steps in the audit stream. */
export function createRecordActivities(options: {
  bus: Bus;
  store: () => Promise<DelegationStore>;
  /** Called with every recorded state, for metrics. */
  observe: (job: DelegatedJob) => void;
}): Pick<SignalActivities, 'recordDelegation' | 'recordAudit'> {
  const { bus, store, observe } = options;
  const audit = (entry: AuditEntry): Promise<void> => writeAudit(bus, entry);
  return {
    async recordDelegation({ records }) {
      const newest = records.at(-1);
      if (newest === undefined) return;
      await (await store()).put(newest.job);
      for (const { audit: entry } of records) await audit(entry);
      for (const { job } of records) observe(job);
    },
    recordAudit: ({ audit: entry }) => audit(entry),
  };
}

/** @throws BatonError BUS_UNAVAILABLE when the stream does not acknowledge */
async function writeAudit(bus: Bus, entry: AuditEntry): Promise<void> {
  await publishOnce(bus, subjects.audit(entry.action), encode(entry), { id: entry.id, timeoutMs: ACK_TIMEOUT_MS });
}
