import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../../contracts/errors.ts';
import { formatDuration } from '../../../contracts/format.ts';
import { readLogTail, startChild, waitUntilReady, type Child, type ChildPlan } from '../../../deploy/servers/child.ts';

const MIN_RESTART_DELAY_MS = 1000;
const MAX_RESTART_DELAY_MS = 30_000;
/** A service that ran this long is restarted after the shortest delay. */
const STEADY_MS = 60_000;
const TAIL_LINES = 10;

export interface ServicePlan extends ChildPlan {
  /** Answers 200 when the service is ready. */
  readyUrl: string;
}

/** Runs services as child processes: reports one that ends unexpectedly with the end of its log, and restarts it. */
export class Supervisor {
  readonly #services: { plan: ServicePlan; child: Child }[] = [];
  readonly #report: (line: string) => void;
  readonly #stopping = new AbortController();

  /** @param report prints a line on the terminal */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /**
   * Starts a service and waits until it is ready.
   *
   * @throws BatonError SERVER_UNAVAILABLE, with the end of its log when it ends before that, or when all services are being stopped
   */
  async start(plan: ServicePlan): Promise<void> {
    if (this.#stopping.signal.aborted)
      throw new BatonError('SERVER_UNAVAILABLE', `starting ${plan.name}: all services are being stopped`);
    const service = { plan, child: startChild(plan) };
    this.#services.push(service);
    await waitUntilReady(service.child, () => isReady(plan.readyUrl));
    void this.#watch(service);
  }

  /** Sends TERM to all services whose name begins with `name`; resolves when they have ended. */
  async stop(name: string): Promise<void> {
    const chosen = this.#services.filter(({ plan }) => plan.name.startsWith(name));
    for (const service of chosen) this.#services.splice(this.#services.indexOf(service), 1);
    await Promise.all(chosen.map(({ child }) => child.stop()));
  }

  /** Sends TERM to all services; none is restarted. */
  async stopAll(): Promise<void> {
    this.#stopping.abort();
    await this.stop('');
  }

  /** Sends KILL to all services, without waiting. */
  killAll(): void {
    this.#stopping.abort();
    for (const { child } of this.#services) void child.kill();
  }

  async #watch(service: { plan: ServicePlan; child: Child }): Promise<void> {
    const { plan } = service;
    let delayMs = MIN_RESTART_DELAY_MS;
    const wanted = (): boolean => !this.#stopping.signal.aborted && this.#services.includes(service);
    for (;;) {
      const since = Date.now();
      const { code, signal } = await service.child.exited;
      if (!wanted()) return;
      if (Date.now() - since > STEADY_MS) delayMs = MIN_RESTART_DELAY_MS;
      this.#report(
        `${plan.name} ended unexpectedly with ${signal ?? `exit code ${code}`}; restarting it in ${formatDuration(delayMs)}. ` +
          `The end of ${plan.logFile}:\n${readLogTail(plan.logFile, TAIL_LINES)}`,
      );
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (!wanted()) return;
      delayMs = Math.min(delayMs * 2, MAX_RESTART_DELAY_MS);
      service.child = startChild(plan);
    }
  }
}

async function isReady(url: string): Promise<boolean> {
  return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
}
