import { z } from 'zod';
import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { readStream } from '../../../contracts/lib/stream-reader.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { duration } from '../../../contracts/config/duration.ts';
import { auditEntry, type AuditEntry } from '../../../contracts/messages/audit.ts';
import { refusedRequest, type RefusedRequest } from '../../../contracts/messages/refused-request.ts';
import { parseOptions, printOptions } from '../lib/options.ts';
import { withNats } from '../lib/request.ts';
import { formatTable } from '../lib/text-table.ts';
import { print } from '../lib/print.ts';

const options = printOptions.extend({
  since: duration.optional(),
  delegation: z.string().optional(),
  repository: z.string().optional(),
  refusals: z.boolean().default(false),
});

type Entry = { kind: 'step'; step: AuditEntry } | { kind: 'refusal'; refusal: RefusedRequest };

/**
 * `baton audit`: prints who did what to which delegation, when, and with what result, and the requests that the ingress refused, oldest
 * first. With a delegation or a repository, only its steps.
 *
 * @returns the exit code
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED
 */
export async function showAudit(given: unknown): Promise<number> {
  const { since, delegation, repository, refusals, json, ...nats } = parseOptions(options, given);
  const after = since === undefined ? undefined : new Date(Date.now() - since);
  const isFiltered = delegation !== undefined || repository !== undefined;
  const entries = await withNats(nats, 'observer', async (bus) => [
    ...(refusals ? [] : await readSteps(bus, after)),
    ...(isFiltered ? [] : await readRefusals(bus, after)),
  ]);
  const wanted = entries
    .filter(
      (entry) =>
        entry.kind === 'refusal' ||
        ((delegation === undefined || entry.step.delegation === delegation) &&
          (repository === undefined || entry.step.repository?.toLowerCase() === repository.toLowerCase())),
    )
    .sort((a, b) => getTime(a).localeCompare(getTime(b)));
  if (json) for (const entry of wanted) print(JSON.stringify(toJson(entry)));
  else print(formatAudit(wanted));
  return 0;
}

/** All steps of delegations, or those after a point in time. @throws BatonError BUS_UNAVAILABLE */
async function readSteps(bus: Bus, since?: Date): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { data } of readStream(bus, STREAMS.audit, { since })) {
    const parsed = auditEntry.safeParse(decode(data));
    if (parsed.success) entries.push({ kind: 'step', step: parsed.data });
  }
  return entries;
}

/** All refused requests, or those after a point in time. @throws BatonError BUS_UNAVAILABLE */
async function readRefusals(bus: Bus, since?: Date): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { data } of readStream(bus, STREAMS.refusals, { since })) {
    const parsed = refusedRequest.safeParse(decode(data));
    if (parsed.success) entries.push({ kind: 'refusal', refusal: parsed.data });
  }
  return entries;
}

function getTime(entry: Entry): string {
  return entry.kind === 'step' ? entry.step.at : entry.refusal.at;
}

function toJson(entry: Entry): object {
  return entry.kind === 'step' ? entry.step : { action: 'refused', ...entry.refusal };
}

function formatAudit(entries: readonly Entry[]): string {
  if (entries.length === 0) return 'no audit entries found';
  const rows = entries.map((entry) => [
    getTime(entry).slice(0, 19).replace('T', ' '),
    ...(entry.kind === 'step' ? formatStep(entry.step) : formatRefusal(entry.refusal)),
  ]);
  return formatTable([['AT (UTC)', 'WHO', 'ACTION', 'OUTCOME', 'DELEGATION', 'RUN', 'DETAIL'], ...rows]);
}

function formatStep({ who, action, outcome, delegation, repository, runId, detail }: AuditEntry): string[] {
  return [
    who,
    action,
    outcome,
    delegation ?? '',
    repository === null ? '' : `${repository}#${runId ?? ''}`,
    shorten(detail),
  ];
}

function formatRefusal({ who, code, count, detail }: RefusedRequest): string[] {
  return [who, 'refused', code, '', '', `${count} within a minute: ${shorten(detail)}`];
}

function shorten(detail: string): string {
  return detail.replaceAll(/\s+/g, ' ').slice(0, 120);
}
