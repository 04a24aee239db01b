import { proxyActivities } from '@temporalio/workflow';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Mark } from '../../contracts/workflows/health.ts';
import { remainsOf, type Sights } from './compare.ts';

/** A check's effort for one removal; the next check goes on where this one gave up. */
const OPTIONS = {
  startToCloseTimeout: '10 min',
  heartbeatTimeout: '20 s',
  scheduleToStartTimeout: '1 min',
  retry: { initialInterval: '1 s', maximumInterval: '10 s', maximumAttempts: 4 },
} as const;
/** Removals under way at once. */
const AT_ONCE = 8;

const orchestrator = proxyActivities<
  Pick<OrchestratorActivities, 'removeRegistration' | 'freeSlots' | 'signalInstanceMissing' | 'confirmOrphaned'>
>({ ...OPTIONS, taskQueue: TASK_QUEUE.orchestrator });

type Ask = <T>(what: string, question: () => Promise<T>) => Promise<T | undefined>;

/** Removes what has been without its counterpart for long enough: registration first, since the forge knows what runs. */
export class Removal {
  /** What was done, a line each. */
  readonly mended: string[] = [];
  readonly #settings: GroupSettings;
  readonly #sights: Sights;
  readonly #ask: Ask;
  readonly #backend: Pick<BackendActivities, 'deleteInstance' | 'checkInstance'>;

  constructor(settings: GroupSettings, sights: Sights, ask: Ask) {
    this.#settings = settings;
    this.#sights = sights;
    this.#ask = ask;
    this.#backend = proxyActivities<Pick<BackendActivities, 'deleteInstance' | 'checkInstance'>>({
      ...OPTIONS,
      taskQueue: TASK_QUEUE.backend(settings.backend),
    });
  }

  /** @returns the marks that are done with */
  async of(marks: readonly Mark[]): Promise<Set<Mark>> {
    const queue = [...marks];
    const done = new Set<Mark>();
    const work = async (): Promise<void> => {
      for (let mark = queue.shift(); mark !== undefined; mark = queue.shift()) {
        const { kind, runner } = mark;
        const one = (): Promise<boolean> =>
          kind === 'missingInstance' ? this.#tellDead(runner) : this.#remove(runner);
        if (await this.#ask(`removing ${runner}`, one)) done.add(mark);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, marks.length) }, work));
    return done;
  }

  /** A runner without a workflow: false while there may be a job on it. */
  async #remove(runner: string): Promise<boolean> {
    const { instances, slots } = this.#sights;
    const { scope, timeToLiveMs, name: group } = this.#settings;
    const instance = instances?.find((sight) => sight.runner === runner);
    const slot = slots?.find((sight) => sight.runner === runner);
    const alive = instance?.state === 'running' && Date.now() - instance.since < timeToLiveMs;
    // A job began on it, as hook or forge told the dispatcher: its instance ends by itself, with the job.
    if (alive && slot?.busy) return false;
    const registration = await orchestrator.removeRegistration({ scope, runner });
    if (registration === 'busy') return false;
    // What was given to it just before would show by the next check.
    if (alive && registration === 'removed') return false;
    const remains = remainsOf(runner, this.#sights);
    if (instance !== undefined) await this.#backend.deleteInstance({ runner });
    if (slot !== undefined) await orchestrator.freeSlots({ group, runners: [runner] });
    this.mended.push(`${runner}: had no workflow; removed ${remains}`);
    return true;
  }

  /** A runner without an instance: it then removes itself. */
  async #tellDead(runner: string): Promise<boolean> {
    if ((await this.#backend.checkInstance({ runner })) !== 'absent') return false;
    await orchestrator.signalInstanceMissing({ group: this.#settings.name, runner });
    this.mended.push(`${runner}: its instance is gone; told its workflow`);
    return true;
  }
}
