import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../contracts/ports/backend.ts';

/** A backend whose instances are only entries in a table: they cost nothing and run nothing. */
export class NothingBackend implements Backend {
  readonly type = 'nothing';
  readonly #instances = new Map<string, Instance>();
  readonly #lifeMs: number | undefined;
  #onDeath: (dead: Instance) => void = () => undefined;

  /** @param lifeMs after this time, milliseconds, an instance ends; undefined: never */
  constructor(lifeMs?: number) {
    this.#lifeMs = lifeMs;
  }

  create({ runner, group }: InstanceSpec, _bootstrap: Bootstrap): Promise<Instance> {
    const known = this.#instances.get(runner);
    if (known !== undefined) return Promise.resolve(known);
    const instance: Instance = { id: runner, runner, group, state: 'running', createdAt: new Date().toISOString() };
    this.#instances.set(runner, instance);
    if (this.#lifeMs !== undefined) setTimeout(() => this.#end(instance), this.#lifeMs);
    return Promise.resolve(instance);
  }

  describe(runner: string): Promise<Instance | undefined> {
    return Promise.resolve(this.#instances.get(runner));
  }

  list(): Promise<Instance[]> {
    return Promise.resolve([...this.#instances.values()]);
  }

  delete(runner: string): Promise<void> {
    this.#instances.delete(runner);
    return Promise.resolve();
  }

  watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    this.#onDeath = onDeath;
    return new Promise((resolve) => abort.addEventListener('abort', () => resolve()));
  }

  #end(instance: Instance): void {
    if (this.#instances.get(instance.runner) !== instance) return;
    Object.assign(instance, { state: 'dead', exitCode: 0, reason: 'exited with code 0' });
    this.#onDeath(instance);
  }
}
