import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { type RunnerInput } from '../../contracts/workflows/runner.ts';
import { formatBytes, formatDuration, formatJobTitle } from '../../contracts/format.ts';
import type { JobResources } from '../../contracts/messages/job-resources.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';
import {
  formatTime,
  renderFactTable,
  LAST_LINES,
  escapeMarkdown,
  renderTable,
  renderWorkflowLink,
} from '../lib/markdown.ts';
import type { Facts } from './facts.ts';

/** These characters exist in every font, in terminals too. */
const ICONS: Record<Phase, string> = {
  provisioning: '◌',
  starting: '◔',
  idle: '○',
  busy: '●',
  completing: '◕',
  removing: '◍',
  lingering: '◌',
  gone: '✓',
  failed: '✗',
};

/** What the details show besides the facts. */
export interface Situation {
  phase: Phase;
  /** Why it is or was removed, or what it waits for. */
  note: string | undefined;
  instanceId: string | undefined;
  /** Why the instance's tags are out of date. */
  tagsProblem?: string | undefined;
  timeToStartEnds: Date;
  timeToLiveEnds: Date;
}

/** A runner's current details in Temporal's UI, markdown: the most important first. */
export function renderRunnerDetails(input: RunnerInput, facts: Facts, situation: Situation): string {
  const { phase, note } = situation;
  const lines = [
    `### ${ICONS[phase]} ${phase}${note ? `: ${escapeMarkdown(note)}` : ''}`,
    '',
    ...renderFactTable([...jobRows(facts), ...runnerRows(input, facts, situation)]),
  ];
  if (facts.log.length > 0) {
    lines.push(
      '',
      '**Last events** (UTC)',
      '',
      ...renderTable(facts.log.map(({ at, what }) => [formatLogTime(at), escapeMarkdown(what)])),
    );
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
  const name = escapeMarkdown(formatJobTitle(known.workflow, job?.name ?? hookJob?.jobKey));
  const rows: [string, string][] = [
    ['Job', job?.url ? `[${name}](${job.url})` : name],
    ['Repository', escapeMarkdown(known.repository)],
    ['Run', `${known.runId}, attempt ${known.runAttempt}`],
  ];
  if (conclusion) rows.push(['Conclusion', escapeMarkdown(conclusion)]);
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
  const isEnding = ['removing', 'lingering', 'gone', 'failed'].includes(phase);
  const rows: [string, string][] = [
    ['Group', renderWorkflowLink(settings.name, dispatcherWorkflowId(settings.name))],
    ['Instance', `${settings.backend}${instanceId ? ` \`${instanceId.slice(0, 40)}\`` : ', none yet'}`],
  ];
  if (tagsProblem) rows.push(['Instance’s tags', `could not be set: ${escapeMarkdown(tagsProblem)}`]);
  if (!isEnding && !facts.started) {
    rows.push(['Time to start', `${formatDuration(settings.timeToStartMs)}, until ${formatTime(timeToStartEnds)}`]);
  }
  if (!isEnding)
    rows.push(['Time to live', `${formatDuration(settings.timeToLiveMs)}, until ${formatTime(timeToLiveEnds)}`]);
  return rows;
}

/** `2026-11-21 07:52:48.340` as code, so that times are aligned. The time may be any text, as job code can send signals. */
function formatLogTime(at: string): string {
  return `\`${at.slice(0, 23).replaceAll(/[^\d:.-]/g, ' ')}\``;
}
