import { REGISTER_RUNNER, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { aJob } from './a-job.ts';
import { anInstanceDeath, aRunnerSignal } from './runner-events.ts';
import { until } from './until.ts';
import type { WorkflowWorld } from './workflows.ts';

/** What forge, hooks and backend say in the course of jobs and runners, as tests of workflows write it. */
export class RunnerSteps {
  readonly #getWorld: () => WorkflowWorld;
  #jobs = 0;

  constructor(getWorld: () => WorkflowWorld) {
    this.#getWorld = getWorld;
  }

  /** The id of a job that no group knows. */
  readonly createJobId = (): number => (this.#jobs += 1);

  /** Queues that many new jobs. @returns their ids */
  readonly queue = async (group: string, count: number): Promise<number[]> => {
    const ids = Array.from({ length: count }, this.createJobId);
    await this.#getWorld().signal(
      group,
      ids.map((id) => ({ type: 'job', job: aJob('queued', id) })),
    );
    return ids;
  };

  /** The runners whose instance exists. */
  readonly living = (group: string): string[] => {
    const { created, deleted } = this.#getWorld().edges(group);
    return created.filter((runner) => !deleted.includes(runner));
  };

  /** The group's runners, once there are that many. */
  readonly runners = async (group: string, count: number): Promise<string[]> =>
    await until(() => {
      const living = this.living(group);
      if (living.length !== count) throw new Error(`${group} has ${living.length} instances, not ${count}`);
      return living;
    });

  /** Registers the runner, and its agent says that it is online. */
  readonly online = async (group: string, runner: string): Promise<void> => {
    const world = this.#getWorld();
    await world.client.workflow.getHandle(runnerWorkflowId(group, runner)).executeUpdate<void, []>(REGISTER_RUNNER);
    await world.signalRunner(group, runner, [aRunnerSignal(runner, 'online')]);
  };

  /** Starts that job on the runner, as far as forge and hook say. */
  readonly begin = async (group: string, runner: string, id: number): Promise<void> => {
    const world = this.#getWorld();
    const job = aJob('in_progress', id, { runnerName: runner });
    await world.signal(group, [{ type: 'job', job }]);
    await world.signalRunner(group, runner, [{ type: 'job', job }]);
  };

  /** Ends that job and its runner. */
  readonly finish = async (group: string, runner: string, id: number): Promise<void> => {
    const job = aJob('completed', id, { runnerName: runner });
    await this.#getWorld().signalRunner(group, runner, [{ type: 'job', job }, anInstanceDeath(runner)]);
  };
}
