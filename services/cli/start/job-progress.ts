import { createLogUpdate } from 'log-update';
import { formatDuration } from '../../../contracts/format.ts';
import type { RunnerStatus } from '../../../contracts/messages/status.ts';
import { formatTable } from '../lib/text-table.ts';
import type { SimulatorJob, SimulatorRun } from './simulator-client.ts';

export interface JobProgress {
  /** Shows the present state. */
  show(run: SimulatorRun, runners: readonly RunnerStatus[]): void;
  /** Ends the display; its last state stays on the terminal. */
  done(): void;
}

/** Shows the progress of a run's jobs: on a terminal a table that is redrawn, elsewhere a line for each change. */
export function createJobProgress(out: NodeJS.WriteStream = process.stdout): JobProgress {
  return out.isTTY ? createLiveTable(out) : createChangeLog(out);
}

function createLiveTable(out: NodeJS.WriteStream): JobProgress {
  const log = createLogUpdate(out);
  return {
    show(run, runners) {
      log(formatJobTable(run, runners, Date.now()));
    },
    done() {
      log.done();
    },
  };
}

/** A line per job with its runner, then the runners without a job of this run. */
export function formatJobTable(run: SimulatorRun, runners: readonly RunnerStatus[], now: number): string {
  const known = new Map(runners.map((runner) => [runner.name, runner]));
  const rows = run.jobs.map((job) => {
    const runner = getRunner(job);
    const phase = runner === null ? '' : (known.get(runner)?.phase ?? '');
    return [job.name, getState(job), runner ?? '', phase, formatElapsed(job, now), job.conclusion ?? ''];
  });
  for (const name of run.pending) rows.push([name, 'needs others', '', '', '', '']);
  const taken = new Set(run.jobs.map(getRunner));
  for (const runner of runners) {
    if (taken.has(runner.name) || runner.closedAt !== null) continue;
    rows.push(['', '', runner.name, runner.phase, formatDuration(now - Date.parse(runner.startedAt)), '']);
  }
  return formatTable([['JOB', 'STATE', 'RUNNER', 'PHASE', 'ELAPSED', 'CONCLUSION'], ...rows]);
}

const getRunner = (job: SimulatorJob): string | null => job.runner ?? job.assignedTo;
const getState = (job: SimulatorJob): string => job.status.replaceAll('_', ' ');

function formatElapsed(job: SimulatorJob, now: number): string {
  const end = job.completedAt === null ? now : Date.parse(job.completedAt);
  return formatDuration(end - Date.parse(job.createdAt));
}

function createChangeLog(out: NodeJS.WriteStream): JobProgress {
  const said = new Map<string, string>();
  const since = Date.now();
  const say = (key: string, text: string): void => {
    if (said.get(key) === text) return;
    said.set(key, text);
    out.write(`  ${((Date.now() - since) / 1000).toFixed(1).padStart(5)}s  ${key}: ${text}\n`);
  };
  return {
    show(run, runners) {
      for (const job of run.jobs) {
        const runner = getRunner(job);
        const where = runner === null ? '' : ` on ${runner}`;
        say(`job ${job.name}`, `${getState(job)}${where}${job.conclusion === null ? '' : `, ${job.conclusion}`}`);
      }
      for (const runner of runners) say(`runner ${runner.name}`, runner.phase);
    },
    done: () => undefined,
  };
}
