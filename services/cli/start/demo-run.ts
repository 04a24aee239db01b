import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../../contracts/lib/nats.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { formatDuration } from '../../../contracts/format.ts';
import type { RunnerStatus } from '../../../contracts/messages/status.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { requestStatus } from '../commands/status.ts';
import { DEMO_CONCLUSIONS, DEMO_JOBS, DEMO_WORKFLOW } from './demo.ts';
import { createJobProgress } from './job-progress.ts';
import { listInstances } from './removal.ts';
import type { SimulatorClient, SimulatorRun } from './simulator-client.ts';
import type { TemporalView } from './temporal-view.ts';

const POLL_INTERVAL_MS = 400;
/** The demo's jobs take seconds; longer on a very busy machine, or one that pulls images. */
const JOBS_TIMEOUT_MS = 5 * 60_000;
/** After the last job its runner removes itself. */
const REMOVAL_TIMEOUT_MS = 60_000;
/** A cancelled step gets SIGINT, and SIGKILL some seconds later. */
const CANCEL_TIMEOUT_MS = 8000;

export interface DemoParts {
  simulator: SimulatorClient;
  bus: Bus;
  temporal: TemporalView;
  backends: readonly Backend[];
  stop: AbortSignal;
}

export interface DemoResult {
  completed: number;
  lost: number;
  instances: number;
  registrations: number;
  openRunners: number;
}

/**
 * Pushes the demo's workflow and shows its jobs until the last one has ended and its runner is removed.
 *
 * @returns the counts at the end; undefined when `stop` fired first
 * @throws BatonError PROGRAM_FAILED when the jobs don't end in time
 */
export async function runDemo(parts: DemoParts): Promise<DemoResult | undefined> {
  const { simulator, stop } = parts;
  const view = createJobProgress();
  try {
    let run = await simulator.push(DEMO_WORKFLOW);
    const jobsBy = Date.now() + JOBS_TIMEOUT_MS;
    let removedBy = Number.POSITIVE_INFINITY;
    while (!stop.aborted) {
      const [runners, fresh] = await Promise.all([findRunners(parts.bus), simulator.run(run.id)]);
      run = fresh;
      view.show(run, runners);
      if (run.status === 'completed') {
        removedBy = Math.min(removedBy, Date.now() + REMOVAL_TIMEOUT_MS);
        const result = await countResult(run, parts);
        const clean = result.instances + result.registrations + result.openRunners === 0;
        // The last table on the terminal shows no runner that still exists.
        if ((clean && runners.every((runner) => runner.closedAt !== null)) || Date.now() > removedBy) return result;
      } else if (Date.now() > jobsBy) {
        throw new BatonError(
          'PROGRAM_FAILED',
          `running the demo: its jobs did not end within ${formatDuration(JOBS_TIMEOUT_MS)}`,
        );
      }
      await sleep(POLL_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
    }
    await cancelRun(simulator, run.id);
    return undefined;
  } finally {
    view.done();
  }
}

/** Cancels the jobs first, so that GitHub frees their runners at once: it keeps a runner whose machine vanished for minutes. */
async function cancelRun(simulator: SimulatorClient, id: number): Promise<void> {
  await simulator.cancel(id);
  const deadline = Date.now() + CANCEL_TIMEOUT_MS;
  while ((await simulator.run(id)).status !== 'completed' && Date.now() < deadline) await sleep(100);
}

/** The runners that the orchestrator knows; none while it doesn't answer. */
async function findRunners(bus: Bus): Promise<RunnerStatus[]> {
  const status = await requestStatus(bus, 2000).catch(() => undefined);
  return status?.runners ?? [];
}

async function countResult(run: SimulatorRun, parts: DemoParts): Promise<DemoResult> {
  const completed = run.jobs.filter((job) => job.conclusion === DEMO_CONCLUSIONS[job.key]).length;
  const [instances, registrations, open] = await Promise.all([
    listInstances(parts.backends),
    parts.simulator.registrations(),
    parts.temporal.listOpenRunners(),
  ]);
  return {
    completed,
    lost: DEMO_JOBS - completed,
    instances: instances.length,
    registrations: registrations.length,
    openRunners: open.length,
  };
}

/** The last line of `baton start --once`. */
export function formatDemoResult(result: DemoResult): string {
  const { completed, lost, instances, registrations } = result;
  return `${completed} jobs completed, ${lost} lost, ${instances} instances left, ${registrations} registrations left`;
}

/** Whether all jobs ended as they should and nothing is left of them. */
export function isClean(result: DemoResult): boolean {
  const { completed, lost, instances, registrations, openRunners } = result;
  return completed === DEMO_JOBS && lost + instances + registrations + openRunners === 0;
}
