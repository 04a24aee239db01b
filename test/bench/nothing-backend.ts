import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../contracts/ports/backend.ts';

/** A backend whose instances are only entries in a table: they cost nothing, run nothing and never die. */
export class NothingBackend implements Backend {
  readonly type = 'nothing';
  readonly #instances = new Map<string, Instance>();

  create({ runner, group }: InstanceSpec, _bootstrap: Bootstrap): Promise<Instance> {
    const known = this.#instances.get(runner);
    const instance = known ?? { id: runner, runner, group, state: 'running', createdAt: new Date().toISOString() };
    this.#instances.set(runner, instance);
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

  watch(_onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void> {
    return new Promise((resolve) => abort.addEventListener('abort', () => resolve()));
  }
}
