import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../../contracts/errors.ts';
import { formatDuration } from '../../../contracts/format.ts';
import { readLogTail, startChild, waitUntilReady, type Child, type ChildPlan } from '../../../deploy/servers/child.ts';

const MIN_RESTART_DELAY_MS = 1000;
const MAX_RESTART_DELAY_MS = 30_000;
/** One that ran this long starts over with the shortest pause. */
const STEADY_MS = 60_000;
const TAIL_LINES = 10;

export interface ServicePlan extends ChildPlan {
  /** Answers 200 when it can do its work. */
  readyUrl: string;
}

/** Our services as child processes: one that dies is reported with its last words and started again. */
export class Supervisor {
  readonly #services: { plan: ServicePlan; child: Child }[] = [];
  readonly #report: (line: string) => void;
  readonly #stopping = new AbortController();

  /** @param report prints a line to the person who watches */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /**
   * Starts a service and waits until it is ready.
   *
   * @throws BatonError SERVER_UNAVAILABLE with the end of its log when it ends before that, or when all are being stopped
   */
  async start(plan: ServicePlan): Promise<void> {
    if (this.#stopping.signal.aborted) throw new BatonError('SERVER_UNAVAILABLE', `starting ${plan.name}: stopping`);
    const service = { plan, child: startChild(plan) };
    this.#services.push(service);
    await waitUntilReady(service.child, () => isReady(plan.readyUrl));
    void this.#watch(service);
  }

  /** TERM to the named ones (all whose name begins so), side by side; resolves when they have ended. */
  async stop(name: string): Promise<void> {
    const chosen = this.#services.filter(({ plan }) => plan.name.startsWith(name));
    for (const service of chosen) this.#services.splice(this.#services.indexOf(service), 1);
    await Promise.all(chosen.map(({ child }) => child.stop()));
  }

  /** TERM to all that still run; nothing is started again. */
  async stopAll(): Promise<void> {
    this.#stopping.abort();
    await this.stop('');
  }

  /** KILL to all, without waiting. */
  killAll(): void {
    this.#stopping.abort();
    for (const { child } of this.#services) void child.kill();
  }

  async #watch(service: { plan: ServicePlan; child: Child }): Promise<void> {
    const { plan } = service;
    let pause = MIN_RESTART_DELAY_MS;
    const wanted = (): boolean => !this.#stopping.signal.aborted && this.#services.includes(service);
    for (;;) {
      const since = Date.now();
      const { code, signal } = await service.child.exited;
      if (!wanted()) return;
      if (Date.now() - since > STEADY_MS) pause = MIN_RESTART_DELAY_MS;
      this.#report(
        `${plan.name} ended unexpectedly with ${signal ?? `exit code ${code}`}; it is started again in ${formatDuration(pause)}. ` +
          `The end of ${plan.logFile}:\n${readLogTail(plan.logFile, TAIL_LINES)}`,
      );
      await sleep(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (!wanted()) return;
      pause = Math.min(pause * 2, MAX_RESTART_DELAY_MS);
      service.child = startChild(plan);
    }
  }
}

async function isReady(url: string): Promise<boolean> {
  return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
}
