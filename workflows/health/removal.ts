import { proxyActivities } from '@temporalio/workflow';
import pMap from 'p-map';
import type { ForgeActivities } from '../../contracts/ports/forge-activities.ts';
import type { HealthActivities } from '../../contracts/ports/health-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Mark } from '../../contracts/workflows/health.ts';
import { describeRemains, type Observations } from './compare.ts';

/** How long one check tries one removal; the next check tries again. */
const OPTIONS = {
  startToCloseTimeout: '10 min',
  heartbeatTimeout: '20 s',
  scheduleToStartTimeout: '1 min',
  retry: { initialInterval: '1 s', maximumInterval: '10 s', maximumAttempts: 4 },
} as const;
const MAX_CONCURRENT_REMOVALS = 8;

const orchestrator = proxyActivities<
  Pick<
    ForgeActivities & HealthActivities,
    'removeRegistration' | 'freeSlots' | 'signalInstanceMissing' | 'checkRegistration' | 'signalUnregistered'
  >
>({ ...OPTIONS, taskQueue: TASK_QUEUE.forgeBackground });

type Ask = <T>(what: string, question: () => Promise<T>) => Promise<T | undefined>;

/** Removes what has been marked for long enough: the registration first, because the forge knows which jobs run. */
export class Removal {
  /** What was removed or repaired, one line each. */
  readonly repaired: string[] = [];
  readonly #settings: GroupSettings;
  readonly #observations: Observations;
  readonly #ask: Ask;
  readonly #backend: Pick<BackendActivities, 'deleteInstance' | 'checkInstance'>;

  constructor(settings: GroupSettings, observations: Observations, ask: Ask) {
    this.#settings = settings;
    this.#observations = observations;
    this.#ask = ask;
    this.#backend = proxyActivities<Pick<BackendActivities, 'deleteInstance' | 'checkInstance'>>({
      ...OPTIONS,
      taskQueue: TASK_QUEUE.backend(settings.backend),
    });
  }

  /** @returns the marks that are resolved */
  async removeMarked(marks: readonly Mark[]): Promise<Set<Mark>> {
    const done = new Set<Mark>();
    const resolve = async (mark: Mark): Promise<void> => {
      const { kind, runner } = mark;
      const acts: Record<Mark['kind'], () => Promise<boolean>> = {
        orphaned: () => this.#remove(runner),
        missingInstance: () => this.#signalMissing(runner),
        missingRegistration: () => this.#signalUnregistered(runner),
      };
      if (await this.#ask(`removing ${runner}`, acts[kind])) done.add(mark);
    };
    await pMap(marks, resolve, { concurrency: MAX_CONCURRENT_REMOVALS });
    return done;
  }

  /** Removes a runner without a workflow; false while a job may run on it. */
  async #remove(runner: string): Promise<boolean> {
    const { instances, slots } = this.#observations;
    const { scope, timeToLiveMs, name: group } = this.#settings;
    const instance = instances?.find((one) => one.runner === runner);
    const slot = slots?.find((one) => one.runner === runner);
    const alive = instance?.state === 'running' && Date.now() - instance.since < timeToLiveMs;
    // Its dispatcher knows that a job started on it: its instance ends by itself, with the job.
    if (alive && slot?.busy) return false;
    const registration = await orchestrator.removeRegistration({ scope, runner });
    if (registration === 'busy') return false;
    // A job that it got just before shows up by the next check.
    if (alive && registration === 'removed') return false;
    const remains = describeRemains(runner, this.#observations);
    if (instance !== undefined) await this.#backend.deleteInstance({ runner });
    if (slot !== undefined) await orchestrator.freeSlots({ group, runners: [runner] });
    this.repaired.push(`${runner}: had no workflow; removed ${remains}`);
    return true;
  }

  /** Signals a runner that the forge does not know it; the runner then leaves, and is replaced. */
  async #signalUnregistered(runner: string): Promise<boolean> {
    const settings = this.#settings;
    if ((await orchestrator.checkRegistration({ settings, runner })) === 'present') return true;
    await orchestrator.signalUnregistered({ group: settings.name, runner });
    this.repaired.push(`${runner}: the forge does not know it; signalled its workflow`);
    return true;
  }

  /** Signals a runner that its instance does not exist; the runner then removes itself. */
  async #signalMissing(runner: string): Promise<boolean> {
    if ((await this.#backend.checkInstance({ runner })) !== 'absent') return false;
    await orchestrator.signalInstanceMissing({ group: this.#settings.name, runner });
    this.repaired.push(`${runner}: its instance is gone; signalled its workflow`);
    return true;
  }
}
