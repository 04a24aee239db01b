import { condition, sleep } from '@temporalio/workflow';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { forge } from './activities.ts';
import type { Facts } from './facts.ts';

/** How long a removal waits before it tries again to remove a registration that the forge calls busy; doubled each time. */
const BUSY_RETRY_DELAY_MS = { first: 2000, max: 60_000 };
/** A registration that was requested just before the end may reach the forge this much later. */
const LATE_REGISTRATION_DELAY_MS = 15_000;
/** The forge's webhook about a completed job usually arrives sooner than this after the job's completed hook, or its program's exit. */
const COMPLETED_WEBHOOK_MS = 5000;

/** A runner's registration on the forge, as far as its removal is concerned: the registrar makes it. */
export class RunnerRegistration {
  /** It was removed before the runner's own removal began. */
  removed = false;
  readonly #input: RunnerInput;
  readonly #facts: Facts;
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

  /** Removes it; false where the forge answers that a job runs on it. */
  async tryRemove(): Promise<boolean> {
    if (!this.#facts.granted) return true;
    this.removed = (await this.#remove()) !== 'busy';
    return this.removed;
  }

  /** Removes it, for as long as it takes. @param onBusy called whenever the forge still calls it busy */
  async remove(onBusy: () => void): Promise<void> {
    // Without a grant there is none.
    if (!this.#facts.granted || this.removed) return;
    await this.awaitCompletedWebhook();
    if (this.#isRemovedByForge()) return;
    if (!this.#facts.online && !this.#facts.started) {
      await sleep(LATE_REGISTRATION_DELAY_MS, { summary: 'a registration may still reach the forge' });
    }
    for (let pause = BUSY_RETRY_DELAY_MS.first; ; pause = Math.min(pause * 2, BUSY_RETRY_DELAY_MS.max)) {
      if ((await this.#remove()) !== 'busy') return;
      onBusy();
      await sleep(pause, { summary: 'registration is busy: try again' });
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

  /** Whether the instance says that its job is over. Its hook and its program's exit may arrive in any order. */
  #hasFinished(): boolean {
    return this.#facts.hookCompleted || this.#facts.exited?.code === 0;
  }

  #remove(): Promise<'removed' | 'absent' | 'busy'> {
    const { settings, runner } = this.#input;
    return forge.removeRegistration({ scope: settings.scope, runner });
  }
}
