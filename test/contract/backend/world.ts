import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { it, type TestContext } from 'vitest';
import { BatonError } from '../../../contracts/errors.ts';
import type { Backend, Instance, InstanceSpec } from '../../../contracts/ports/backend.ts';
import { createRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { BOOTSTRAP, type Candidate } from './candidate.ts';
import { OutcomeBook } from './outcomes.ts';
import type { Row } from './rows.ts';

export const never = new AbortController().signal;

/** How often a call that failed with a retryable error is tried. */
const MAX_ATTEMPTS = 40;

/** What the rows of the contract share: the backend under test, the row's runner, and its watches. */
export class SuiteWorld {
  readonly installation = `t${randomUUID().slice(0, 8)}`;
  readonly otherInstallation = `${this.installation}x`;
  readonly book: OutcomeBook;
  #started: { candidate: Candidate; backend: Backend } | undefined;
  #current: InstanceSpec | undefined;
  readonly #watching: (() => Promise<void>)[] = [];

  constructor(name: string) {
    this.book = new OutcomeBook(name);
  }

  get candidate(): Candidate {
    if (this.#started === undefined) throw new Error('the candidate was not started');
    return this.#started.candidate;
  }

  get backend(): Backend {
    if (this.#started === undefined) throw new Error('the candidate was not started');
    return this.#started.backend;
  }

  /** The spec that {@link next} made last. */
  get spec(): InstanceSpec {
    if (this.#current === undefined) throw new Error('there is no runner yet');
    return this.#current;
  }

  set spec(spec: InstanceSpec) {
    this.#current = spec;
  }

  start(candidate: Candidate): void {
    this.#started = { candidate, backend: candidate.open(this.installation) };
    this.book.against(candidate.against);
  }

  /** A row of the contract; a row that does not apply to this backend is skipped with its reason. */
  row(title: Row, body: () => Promise<void>): void {
    // oxlint-disable-next-line vitest/valid-title -- one of ROWS
    it(title, async (context: TestContext) => {
      const reason = this.candidate.absent[title];
      if (reason !== undefined) this.book.set(title, { absent: reason });
      context.skip(reason !== undefined, reason);
      await expectKept(this.book, title, body);
    });
  }

  /** A spec for another runner. */
  next(who = this.installation): InstanceSpec {
    this.spec = this.candidate.spec(who, createRunnerName(who, 'linux', randomUUID()));
    return this.spec;
  }

  create(on = this.backend, abort = never): Promise<Instance> {
    return on.create(this.spec, BOOTSTRAP, abort);
  }

  /** Retries as Temporal does: while the error is retryable. */
  async retry<T>(call: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !(error instanceof BatonError) || !error.retryable) throw error;
      }
      await sleep(50);
    }
  }

  /** Watches until the row ends; `waitForDeath` resolves with a runner's first death. */
  watch(on: Backend): { waitForDeath(runner: string): Promise<Instance>; deaths: Instance[] } {
    const ending = new AbortController();
    const deaths: Instance[] = [];
    const waiting = new Set<() => void>();
    const watched = on.watch((dead) => {
      deaths.push(dead);
      for (const look of waiting) look();
    }, ending.signal);
    this.#watching.push(async () => {
      ending.abort();
      await watched;
    });
    const waitForDeath = (runner: string): Promise<Instance> =>
      new Promise((resolve) => {
        const look = (): void => {
          const dead = deaths.find((candidate) => candidate.runner === runner);
          if (dead) resolve(dead);
        };
        waiting.add(look);
        look();
      });
    return { waitForDeath, deaths };
  }

  /** Removes what a row left behind, and returns what could not be removed. */
  async cleanUp(): Promise<string[]> {
    this.candidate.faults?.proxy.clear();
    for (const end of this.#watching.splice(0)) await end();
    for (const who of [this.installation, this.otherInstallation]) {
      const its = this.candidate.open(who);
      for (const { runner } of await its.list(never)) await its.delete(runner, never);
    }
    return this.candidate.listLeftovers([this.installation, this.otherInstallation]);
  }
}

async function expectKept(book: OutcomeBook, title: Row, body: () => Promise<void>): Promise<void> {
  book.set(title, 'broken');
  await body();
  book.set(title, 'kept');
}
