import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { findRootMessage } from '../lib/failure.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';
import { forge } from './activities.ts';
import type { Facts } from './facts.ts';

/** How long a removal waits before it asks again, by the forge's answer. A refusal can last for ever: a suspended App, a lost repository. */
const ASK_AGAIN_DELAY_MS: Record<'busy' | 'refused', GrowingDelay> = {
  busy: { first: 2000, max: 600_000 },
  refused: { first: 15_000, max: 3_600_000 },
};
/** A registration that was requested just before the end may reach the forge this much later. */
const LATE_REGISTRATION_DELAY_MS = 15_000;
/** The forge's webhook about a completed job usually arrives sooner than this after the job's completed hook, or its program's exit. */
const COMPLETED_WEBHOOK_MS = 5000;

/** The forge's answer to a removal. `refused`: it does not let Baton ask, for a reason that may last. */
export type RegistrationAnswer = 'removed' | 'absent' | 'busy' | 'refused';

/** A runner's registration on the forge, as far as its removal is concerned: the registrar makes it. */
export class RunnerRegistration {
  /** The forge answered that it is gone, or that there is none: no other may be made. */
  removed = false;
  /** Why the forge did not remove it when it was last asked; undefined where it did, or was not asked. */
  problem: string | undefined;
  readonly #input: RunnerInput;
  readonly #facts: Facts;
  /** It is certainly gone: its runner was online before the forge was asked. One that is on its way to the forge is not known there. */
  #isGone = false;
  /** The question that the forge has not answered yet. */
  #asking: Promise<RegistrationAnswer> | undefined;
  /** The webhook about the completed job did not arrive in its usual time. */
  #webhookIsLate = false;

  constructor(input: RunnerInput, facts: Facts) {
    this.#input = input;
    this.#facts = facts;
  }

  /**
   * After the end of a job, as its hook or its program's exit says: waits for the forge's own webhook about that job, which saves
   * a call to the forge; at most until the instance dies.
   *
   * @returns whether one of these happened; false where there is nothing to wait for any more
   */
  async awaitCompletedWebhook(): Promise<boolean> {
    const { died } = this.#facts;
    const isCompleted = (): boolean => this.#facts.forgeCompleted;
    if (!this.#hasFinished() || isCompleted() || this.#webhookIsLate) return false;
    const summary = 'the forge’s webhook about the completed job usually arrives by then';
    const isOver = (): boolean => isCompleted() || this.#facts.died !== died;
    this.#webhookIsLate = !(await condition(isOver, COMPLETED_WEBHOOK_MS, { summary }));
    return !this.#webhookIsLate;
  }

  /**
   * Asks the forge to remove it. One question at a time, which nothing cancels: who waits for its answer waits beside what else may
   * happen to the runner, and the runner's own removal joins it.
   */
  ask(): Promise<RegistrationAnswer> {
    if (!this.#facts.granted || this.#isGone) return Promise.resolve('absent');
    this.#asking ??= CancellationScope.nonCancellable(() => this.#ask()).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * Removes it, for as long as it takes: no answer of the forge can fail it.
   *
   * @param onWait called whenever it is asked for again later; {@link problem} says why
   * @param mustStop whether to give up, so that the workflow continues as new
   * @returns whether it is gone
   */
  async remove(onWait: () => void, mustStop: () => boolean): Promise<boolean> {
    // Without a grant there is none.
    if (!this.#facts.granted || this.#isGone) return true;
    await this.awaitCompletedWebhook();
    if (this.#isRemovedByForge()) return true;
    if (!this.#wasOnline()) {
      const summary = 'a registration may still reach the forge';
      this.problem ??= summary;
      await sleep(LATE_REGISTRATION_DELAY_MS, { summary });
    }
    for (let tries = 0; ; tries++) {
      const answer = await this.ask();
      if (answer !== 'busy' && answer !== 'refused') return true;
      onWait();
      if (mustStop()) return false;
      const pause = computeDelay(ASK_AGAIN_DELAY_MS[answer], tries);
      const { forgeCompleted } = this.#facts;
      // When the forge has ended the job of a lost instance, it lets go of the registration too.
      const isLetGo = (): boolean => this.#facts.forgeCompleted !== forgeCompleted || mustStop();
      await condition(isLetGo, pause, { summary: `the forge answered “${answer}”: it is asked again after this time` });
      if (mustStop()) return false;
    }
  }

  async #ask(): Promise<RegistrationAnswer> {
    const { settings, runner } = this.#input;
    const wasOnline = this.#wasOnline();
    try {
      const answer = await forge.removeRegistration({ scope: settings.scope, runner });
      this.removed = answer !== 'busy';
      this.#isGone = this.removed && wasOnline;
      this.problem = answer === 'busy' ? 'the forge still calls it busy' : undefined;
      return answer;
    } catch (error) {
      this.problem = findRootMessage(error);
      return 'refused';
    }
  }

  /**
   * Whether the forge has removed the registration itself, so that looking for it would only cost a call. GitHub removes an
   * ephemeral runner's registration when its one job finishes: "The service will remove the runner registration from service
   * after the job finish" (https://github.com/actions/runner/pull/660); JIT runners are ephemeral. It counts only where both the
   * instance and the forge's webhook say that this runner completed it. After any other end (no job, a cancelled one, a lost
   * instance) the forge is asked. If GitHub kept one all the same, the health check would find a registration without a workflow,
   * and remove it.
   */
  #isRemovedByForge(): boolean {
    return this.#hasFinished() && this.#facts.forgeCompleted && !this.#facts.diedAtWork;
  }

  /** Whether its program came online: then the forge knows its registration, and no other request for one is on its way. */
  #wasOnline(): boolean {
    return this.#facts.online || this.#facts.started;
  }

  /** Whether the instance says that its job is over. Its hook and its program's exit may arrive in any order. */
  #hasFinished(): boolean {
    return this.#facts.hookCompleted || this.#facts.exited?.code === 0;
  }
}
