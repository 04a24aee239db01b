import { condition } from '@temporalio/workflow';
import { formatDuration } from '../../contracts/format.ts';
import type { RemovalReason } from '../../contracts/workflows/phase.ts';
import { toSpread } from '../lib/spread.ts';
import type { RunnerActor } from './actor.ts';
import type { RegistrationAnswer } from './registration.ts';

/** GitHub's `busy` lags up to 60 s behind the start of a job: a job may still appear for 60 s after "not busy". */
export const BUSY_LAG_MS = 60_000;
/** A tenth of the time to start, at most a tenth of this, is added to it: differently for each runner. */
const MAX_SPREAD_MS = 600_000;

/**
 * The wait until a job starts on a runner, or the runner can run none any more. An idle runner whose time to start is over, or whose
 * group asked it to retire, stays if the group needs it as an idle runner. It leaves in any case while enough of its time to live
 * is left for the job that it could get: its registration first, so that it gets none.
 */
export class StartWait {
  readonly #actor: RunnerActor;
  /** Runners that were created together don't ask their group together. */
  readonly #spread: number;
  /** Until it asks its group next, milliseconds. */
  #left: number;

  constructor(actor: RunnerActor) {
    const { settings, runner } = actor.input;
    this.#actor = actor;
    this.#spread = Math.min(settings.timeToStartMs, MAX_SPREAD_MS) * 0.1 * toSpread(runner);
    this.#left = actor.timeToStartLeft() + this.#spread;
  }

  /** @returns the reason for removal, where no job started */
  async run(): Promise<RemovalReason | undefined> {
    const actor = this.#actor;
    const { facts } = actor;
    const { timeToStartMs } = actor.input.settings;
    for (;;) {
      await this.#untilDue();
      if (this.#isDecided()) return undefined;
      // The forge removes the registration of a runner that has a job when that job is over, not sooner.
      if (facts.unregistered) return 'unregistered';
      const reason = actor.takeRetirementReason();
      if (!facts.granted) return reason;
      this.#left = reason === 'retired' ? actor.timeToStartLeft() : timeToStartMs + this.#spread;
      const mustLeave = reason === 'renewed' || (reason === 'time-to-start' && !facts.online);
      if (mustLeave) await actor.reportLeaving(reason);
      else if (!(await actor.mayRetire())) {
        actor.setNote('idle: waiting for the next job');
        continue;
      }
      const answer = await this.#unregister();
      if (answer === undefined) return undefined;
      if (answer === 'busy') {
        actor.renewal.postpone();
        actor.setNote('not removed: the forge says that a job is running on it');
        continue;
      }
      if (!facts.started) return reason;
    }
  }

  /**
   * Removes its registration, and waits until a job that it got just before would show up. A runner that comes online meanwhile was
   * registered after the forge had answered that it has none: the forge is asked again.
   *
   * @returns the last answer; undefined where something else has decided before
   */
  async #unregister(): Promise<RegistrationAnswer | undefined> {
    const actor = this.#actor;
    const { facts } = actor;
    // Without a registration it gets no new job. Where the forge refused, and may refuse for ever, that is all that can be waited for.
    const lag = Math.min(BUSY_LAG_MS, actor.input.settings.timeToStartMs);
    const summary = 'unregistered: a job that just started would show up by then';
    for (;;) {
      const wasOnline = facts.online;
      const answer = await actor.tryUnregister(() => this.#isDecided());
      if (answer === undefined || answer === 'busy') return answer;
      const isLate = (): boolean => !wasOnline && facts.online;
      await condition(() => this.#isDecided() || isLate(), lag, { summary });
      if (this.#isDecided() || !isLate()) return answer;
    }
  }

  /** Until there is something to do: at the latest when the time to start or, of an idle runner, the time until its renewal is over. */
  async #untilDue(): Promise<void> {
    const { renewal, input } = this.#actor;
    const summary = `time to start: ${formatDuration(input.settings.timeToStartMs)}`;
    while (!this.#isDue()) {
      const wasIdle = this.#isIdle();
      const untilRenewal = renewal.timeLeft();
      const isRenewedSooner = (): boolean => !wasIdle && this.#isIdle() && untilRenewal < this.#left;
      const before = Date.now();
      const limit = wasIdle ? Math.min(this.#left, untilRenewal) : this.#left;
      const woken = await condition(() => this.#isDue() || isRenewedSooner(), limit, { summary });
      if (!woken) return;
      this.#left = Math.max(1, this.#left - (Date.now() - before));
    }
  }

  #isDue(): boolean {
    return this.#isDecided() || this.#actor.retireAsked || this.#actor.facts.unregistered;
  }

  #isDecided(): boolean {
    return this.#actor.facts.started || this.#actor.isFinished();
  }

  #isIdle(): boolean {
    return this.#actor.facts.online && this.#actor.facts.granted;
  }
}
