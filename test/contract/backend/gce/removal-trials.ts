import { randomUUID } from 'node:crypto';
import type { Backend } from '../../../../contracts/ports/backend.ts';
import { anInstanceSpec } from '../../../support/an-instance-spec.ts';
import { startFaultProxy, type Answer, type Call, type Fault, type FaultProxy } from '../../../support/fault-proxy.ts';
import { jsonAnswer, toRemovalEnding, type RemovalEnding } from '../../../support/removal-ending.ts';
import { FIRST, GceProject } from '../gce-server/project.ts';
import { never } from '../world.ts';

/**
 * - `get`, `operations`: the search in the configured zones
 * - `list`: the search in all others
 * - `delete`, `wait`: the deletion, and the wait for its operation
 * - `check`: the last look, after the deletion
 */
export const REMOVAL_STEPS = ['get', 'operations', 'list', 'delete', 'wait', 'check'] as const;
export type RemovalStep = (typeof REMOVAL_STEPS)[number];

const ELSEWHERE = 'us-central1-a';
/** How long a removal may take whose fault never ends and never fails a call. */
const LIMIT_MS = 1500;

/** An answer of Compute Engine with an error; {runner} and {zone} in its text become those of the instance. */
export function google(status: number, message = `no ${status}`, more: object = {}): Fault {
  const error = { code: status, message, errors: [{ message, domain: 'global', reason: 'unknown' }], ...more };
  return answerWith(jsonAnswer(status, { error }));
}

export function answerWith(answer: Answer): Fault {
  return { kind: 'answer', answer };
}

/** An operation that was accepted and has failed already. */
export function failedOperation(code: string): Fault {
  const error = { errors: [{ code, message: `it failed with ${code}` }] };
  return answerWith(
    jsonAnswer(200, { kind: 'compute#operation', name: 'operation-1', status: 'DONE', operationType: 'delete', error }),
  );
}

/** A project whose instances are removed despite faults, side by side. */
export class RemovalTrials {
  readonly #installation = `a${randomUUID().slice(0, 8)}`;
  readonly #project: GceProject;
  readonly #proxy: FaultProxy;
  readonly #backend: Backend;
  readonly #limited: Backend;
  /** Without the proxy. */
  readonly #direct: Backend;
  /** By operation: see `#toDeleted`. */
  readonly #deleted = new Map<string, string>();

  private constructor(project: GceProject, proxy: FaultProxy) {
    this.#project = project;
    this.#proxy = proxy;
    this.#backend = project.open(this.#installation, { endpoint: proxy.address });
    this.#direct = project.open(this.#installation);
    this.#limited = project.open(this.#installation, { endpoint: proxy.address }, LIMIT_MS);
  }

  static async start(): Promise<RemovalTrials> {
    const project = await GceProject.start();
    const trials = new RemovalTrials(project, await startFaultProxy(project.server.address));
    // Loads Google's library.
    await trials.#backend.delete('none', never);
    return trials;
  }

  async stop(): Promise<void> {
    await this.#proxy.close();
    await this.#project.stop();
  }

  /** Removes an instance while a step of that always has the fault. */
  async removeDespite(step: RemovalStep, fault: Fault): Promise<RemovalEnding> {
    return this.#remove(this.#backend, { step, fault, times: Infinity }, () => Promise.resolve());
  }

  /** Removes an instance while a step of that has the fault once, then again. */
  async removeAfter(step: RemovalStep, fault: Fault): Promise<RemovalEnding> {
    return this.#remove(this.#backend, { step, fault, times: 1 }, this.#removeAgain);
  }

  /** Removes an instance with little time while a step of that always has a fault that fails no call, then again without. */
  async removeInTime(step: RemovalStep, fault: Fault): Promise<RemovalEnding> {
    return this.#remove(this.#limited, { step, fault, times: Infinity }, this.#removeAgain);
  }

  async #remove(
    backend: Backend,
    { step, fault, times }: { step: RemovalStep; fault: Fault; times: number },
    then: (runner: string) => Promise<void>,
  ): Promise<RemovalEnding> {
    const runner = `${this.#installation}-linux-${randomUUID().slice(0, 8)}`;
    const zone = step === 'list' ? ELSEWHERE : FIRST;
    this.#project.startInsert(anInstanceSpec(this.#installation, runner), zone);
    let deleting = false;
    const when = (call: Call): boolean => {
      if (!this.#isOf(runner, call)) return false;
      deleting ||= call.method === 'DELETE';
      return toStep(call) === (step === 'check' ? 'get' : step) && (step !== 'check' || deleting);
    };
    const rule = this.#proxy.inject({ when, times, fault: fill(fault, zone, runner) });
    let hit = false;
    rule.hit.then(() => (hit = true)).catch(() => undefined);
    const ending = await toRemovalEnding(backend.delete(runner, never), () => this.#isThere(runner));
    // Under load, a removal with little time may not come to the step.
    if (!hit && backend !== this.#limited) throw new Error(`the removal made no call of the step ${step}`);
    rule.remove();
    await then(runner);
    return ending;
  }

  readonly #removeAgain = async (runner: string): Promise<void> => {
    const removal = this.#direct.delete(runner, never);
    const { outcome, message } = await toRemovalEnding(removal, () => this.#isThere(runner));
    if (outcome !== 'gone') throw new Error(`the removal without faults failed: ${message}`);
  };

  #isThere(runner: string): boolean {
    return [...this.#project.server.cloud.machines.values()].some(({ name }) => name === runner);
  }

  #isOf(runner: string, { path }: Call): boolean {
    const operation = /\/operations\/([^/?]+)\/wait/.exec(path)?.[1];
    return operation === undefined ? path.includes(runner) : this.#toDeleted(operation) === runner;
  }

  /** The name of the instance that an operation deletes; empty for one that inserts: that, too, may still be waited for. */
  #toDeleted(operation: string): string {
    let found = this.#deleted.get(operation);
    if (found === undefined) {
      const { operations } = this.#project.server.cloud;
      const { resource } = operations.find((one) => one.resource.name === operation) ?? {};
      const link = String(resource?.['targetLink']);
      found = resource?.['operationType'] === 'delete' ? link.slice(link.lastIndexOf('/') + 1) : '';
      this.#deleted.set(operation, found);
    }
    return found;
  }
}

function toStep({ method, path }: Call): RemovalStep | undefined {
  if (path.includes('/wait')) return 'wait';
  if (method === 'DELETE') return 'delete';
  if (path.includes('/aggregated/')) return 'list';
  if (path.includes('/operations?')) return 'operations';
  return /\/instances\/[^/?]+/.test(path) ? 'get' : undefined;
}

function fill(fault: Fault, zone: string, runner: string): Fault {
  if (!('answer' in fault) || typeof fault.answer === 'function') return fault;
  const body = fault.answer.body.replaceAll('{zone}', zone).replaceAll('{runner}', runner);
  return { ...fault, answer: { ...fault.answer, body } satisfies Answer };
}
