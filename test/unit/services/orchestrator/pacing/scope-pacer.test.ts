import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { SharedDocument } from '../../../../../activities/lib/shared-document.ts';
import type { RegistrationOutlook } from '../../../../../contracts/ports/forge.ts';
import { NO_STARTS, type StartUses } from '../../../../../services/orchestrator/pacing/plan-starts.ts';
import { ScopePacer } from '../../../../../services/orchestrator/pacing/scope-pacer.ts';

/** A shared store of documents, as NATS is. */
class Store {
  readonly documents = new Map<string, StartUses>();
  changes = 0;

  open(key: string): SharedDocument<StartUses> {
    const { documents } = this;
    return {
      get current() {
        return documents.get(key) ?? NO_STARTS;
      },
      readAt: 0,
      refresh: () => Promise.resolve(),
      change: (change) => {
        this.changes += 1;
        documents.set(key, change(documents.get(key) ?? NO_STARTS));
        return Promise.resolve(documents.get(key));
      },
    };
  }
}

function create(store: Store, outlook: Partial<RegistrationOutlook> = {}, metrics = new Registry()): ScopePacer {
  const forge = {
    type: 'github',
    getRegistrationOutlook: () => ({ perMinute: 10, perFiveMinutes: 1500, waitMs: 0, blocked: null, ...outlook }),
  };
  return new ScopePacer({ forge, open: (key) => store.open(key), metrics });
}

describe('the pacer of starts', () => {
  it('counts the starts of a scope over all groups and orchestrators, whatever the case of its name', async () => {
    const store = new Store();
    const [one, other] = [create(store), create(store)];
    expect((await one.take({ organization: 'acme' }, 'linux', { jobs: 7, idle: 0 })).allowed).toBe(7);
    expect((await other.take({ organization: 'Acme' }, 'linux', { jobs: 7, idle: 0 })).allowed).toBe(3);
    expect((await other.take({ organization: 'acme', repository: 'web' }, 'linux', { jobs: 7, idle: 0 })).allowed).toBe(
      7,
    );
    expect([...store.documents.keys()]).toEqual(['acme', 'acme/web']);
  });

  it('counts nothing where nothing limits starts, or nothing may start', async () => {
    const store = new Store();
    const unlimited = create(store, { perMinute: null });
    expect((await unlimited.take({ organization: 'acme' }, 'linux', { jobs: 500, idle: 0 })).allowed).toBe(500);
    const blocked = create(store, { blocked: 'GitHub does not answer', waitMs: 1000 });
    expect((await blocked.take({ organization: 'acme' }, 'linux', { jobs: 500, idle: 0 })).allowed).toBe(0);
    expect(store.changes).toBe(0);
  });

  it('counts what it puts off in a metric', async () => {
    const metrics = new Registry();
    await create(new Store(), {}, metrics).take({ organization: 'acme' }, 'linux', { jobs: 14, idle: 0 });
    expect(await metrics.metrics()).toContain('baton_starts_held_back_total{scope="acme"} 4');
  });
});
