import { z } from 'zod';
import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { readStream } from '../../../contracts/lib/stream-reader.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { duration } from '../../../contracts/config/duration.ts';
import { auditEntry, type AuditEntry } from '../../../contracts/messages/audit.ts';
import { parseOptions, printOptions } from '../lib/options.ts';
import { withNats } from '../lib/request.ts';
import { formatTable } from '../lib/text-table.ts';
import { print } from '../lib/print.ts';

const options = printOptions.extend({
  since: duration.optional(),
  delegation: z.string().optional(),
  repository: z.string().optional(),
});

/**
 * `baton audit`: prints the audit stream, oldest first: who did what to which delegation, when, and with what result.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function showAudit(given: unknown): Promise<number> {
  const { since, delegation, repository, json, ...nats } = parseOptions(options, given);
  const after = since === undefined ? undefined : new Date(Date.now() - since);
  const all = await withNats(nats, 'observer', (bus) => readAudit(bus, after));
  const entries = all.filter(
    (entry) =>
      (delegation === undefined || entry.delegation === delegation) &&
      (repository === undefined || entry.repository?.toLowerCase() === repository.toLowerCase()),
  );
  if (json) for (const entry of entries) print(JSON.stringify(entry));
  else print(formatAudit(entries));
  return 0;
}

/** All entries of the audit stream, or those after a point in time; oldest first. @throws BatonError BUS_UNAVAILABLE */
async function readAudit(bus: Bus, since?: Date): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const { data } of readStream(bus, STREAMS.audit, { since })) {
    const parsed = auditEntry.safeParse(decode(data));
    if (parsed.success) entries.push(parsed.data);
  }
  return entries;
}

function formatAudit(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return 'no audit entries found';
  const rows = entries.map(({ at, who, action, delegation, repository, runId, outcome, detail }) => [
    at.slice(0, 19).replace('T', ' '),
    who,
    action,
    outcome,
    delegation ?? '',
    repository === null ? '' : `${repository}#${runId ?? ''}`,
    detail.replaceAll(/\s+/g, ' ').slice(0, 120),
  ]);
  return formatTable([['AT (UTC)', 'WHO', 'ACTION', 'OUTCOME', 'DELEGATION', 'RUN', 'DETAIL'], ...rows]);
}
