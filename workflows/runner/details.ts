import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { type RunnerInput } from '../../contracts/workflows/runner.ts';
import { formatBytes, formatDuration, formatJobTitle } from '../../contracts/format.ts';
import type { JobResources } from '../../contracts/messages/job-resources.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';
import { clock, factTable, LAST_LINES, plain, table, workflowLink } from '../lib/markdown.ts';
import type { Facts } from './facts.ts';

/** In every font, terminals' included. */
const ICONS: Record<Phase, string> = {
  provisioning: '◌',
  starting: '◔',
  idle: '○',
  busy: '●',
  completing: '◕',
  removing: '◍',
  gone: '✓',
  failed: '✗',
};

/** What the details tell besides the facts. */
export interface Situation {
  phase: Phase;
  /** Why it is being or was removed, or what it waits for. */
  note: string | undefined;
  instanceId: string | undefined;
  /** Why the instance's tags don't say what runs on it, where they should. */
  tagsProblem?: string | undefined;
  timeToStartEnds: Date;
  timeToLiveEnds: Date;
}

/** A runner's current details in Temporal's UI, markdown: what a person wants to know first comes first. */
export function runnerDetails(input: RunnerInput, facts: Facts, situation: Situation): string {
  const { phase, note } = situation;
  const lines = [
    `### ${ICONS[phase]} ${phase}${note ? `: ${plain(note)}` : ''}`,
    '',
    ...factTable([...jobRows(facts), ...runnerRows(input, facts, situation)]),
  ];
  if (facts.heard.length > 0) {
    lines.push('', '**Last heard** (UTC)', '', ...table(facts.heard.map(({ at, what }) => [stamp(at), plain(what)])));
  }
  if (facts.exited && facts.exited.code !== 0 && facts.exited.logTail) {
    lines.push('', '**End of the runner program’s output**', '');
    lines.push('```', facts.exited.logTail.replaceAll('```', "'''"), '```');
  }
  return [...lines, ...LAST_LINES].join('\n');
}

function jobRows({ job, hookJob, conclusion, resources }: Facts): [string, string][] {
  const known = job ?? hookJob;
  if (known === undefined) return [];
  const name = plain(formatJobTitle(known.workflow, job?.name ?? hookJob?.jobKey));
  const rows: [string, string][] = [
    ['Job', job?.url ? `[${name}](${job.url})` : name],
    ['Repository', plain(known.repository)],
    ['Run', `${known.runId}, attempt ${known.runAttempt}`],
  ];
  if (conclusion) rows.push(['Conclusion', plain(conclusion)]);
  if (resources) rows.push(...resourceRows(resources));
  return rows;
}

function resourceRows({ cpu, memory, disk, network }: JobResources): [string, string][] {
  const { cores, average, peak } = cpu;
  return [
    ['CPU', `${average.toFixed(2)} of ${Number(cores.toFixed(2))} cores, peak ${peak.toFixed(2)}`],
    ['Memory', `${formatBytes(memory.average)} of ${formatBytes(memory.total)}, peak ${formatBytes(memory.peak)}`],
    ['Disk', `${formatBytes(disk.read)} read, ${formatBytes(disk.written)} written`],
    ['Network', `${formatBytes(network.received)} received, ${formatBytes(network.sent)} sent`],
  ];
}

function runnerRows({ settings }: RunnerInput, facts: Facts, situation: Situation): [string, string][] {
  const { phase, instanceId, tagsProblem, timeToStartEnds, timeToLiveEnds } = situation;
  const over = phase === 'removing' || phase === 'gone' || phase === 'failed';
  const rows: [string, string][] = [
    ['Group', workflowLink(settings.name, dispatcherWorkflowId(settings.name))],
    ['Instance', `${settings.backend}${instanceId ? ` \`${instanceId.slice(0, 40)}\`` : ', none yet'}`],
  ];
  if (tagsProblem) rows.push(['Instance’s tags', `could not be set: ${plain(tagsProblem)}`]);
  if (!over && !facts.started) {
    rows.push(['Time to start', `${formatDuration(settings.timeToStartMs)}, until ${clock(timeToStartEnds)}`]);
  }
  if (!over) rows.push(['Time to live', `${formatDuration(settings.timeToLiveMs)}, until ${clock(timeToLiveEnds)}`]);
  return rows;
}

/** `2026-11-21 07:52:48.340` as code, so that times stand below one another. Job code may have sent any text as a time. */
function stamp(at: string): string {
  return `\`${at.slice(0, 23).replaceAll(/[^\d:.-]/g, ' ')}\``;
}
