import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { BatonError } from '../../../../../contracts/errors.ts';
import { createLogger } from '../../../../../contracts/lib/log.ts';
import type { CallOptions, ForgeScope, Registration, RegistrationOrder } from '../../../../../contracts/ports/forge.ts';
import { MAX_ANSWERS } from '../../../../../services/orchestrator/requests/registration/claim.ts';
import {
  RegistrationRecords,
  type RecordBucket,
} from '../../../../../services/orchestrator/requests/registration/records.ts';
import { Registrar } from '../../../../../services/orchestrator/requests/registration/registrar.ts';
import { toRefusal } from '../../../../../services/orchestrator/requests/registration/replies.ts';

const RUNNER = 'demo-linux-1';
const ORDER: RegistrationOrder = {
  scope: { organization: 'acme' },
  group: 'linux',
  access: { allowPublic: false },
  runner: RUNNER,
  labels: ['linux'],
};

/** A bucket that several orchestrators share, as NATS keeps it; `down` makes it unreachable. */
class FakeBucket implements RecordBucket {
  down = false;
  readonly #entries = new Map<string, { value: Uint8Array; revision: number }>();

  async get(key: string): Promise<{ value: Uint8Array; revision: number } | null> {
    this.#assertUp();
    return this.#entries.get(key) ?? null;
  }

  create(key: string, value: Uint8Array): Promise<number> {
    return this.update(key, value, 0);
  }

  async update(key: string, value: Uint8Array, version: number): Promise<number> {
    this.#assertUp();
    const revision = this.#entries.get(key)?.revision ?? 0;
    if (revision !== version) throw new Error(`wrong last sequence: ${revision}`);
    this.#entries.set(key, { value, revision: revision + 1 });
    return revision + 1;
  }

  #assertUp(): void {
    if (this.down) throw new Error('503');
  }
}

/** A forge whose answers the test gives; it counts how often it was asked. */
class FakeForge {
  asked = 0;
  waitMs = 0;
  readonly removed: string[] = [];
  answer: (options: CallOptions | undefined) => Promise<Registration> = () =>
    Promise.resolve({ runnerId: this.asked, jitConfig: `config ${this.asked}` });

  register(_order: RegistrationOrder, options?: CallOptions): Promise<Registration> {
    this.asked += 1;
    return this.answer(options);
  }

  deregister(_scope: ForgeScope, runner: string): Promise<'removed'> {
    this.removed.push(runner);
    return Promise.resolve('removed');
  }

  getRegistrationOutlook() {
    return { perMinute: 180, perFiveMinutes: 1500, waitMs: this.waitMs, blocked: null };
  }
}

const log = createLogger('test', 'silent');
let bucket: FakeBucket;
let forge: FakeForge;
let checks: boolean[];
let refusal: BatonError | undefined;
let stopping: AbortController;

beforeEach(() => {
  bucket = new FakeBucket();
  forge = new FakeForge();
  checks = [];
  refusal = undefined;
  stopping = new AbortController();
});

/** One more orchestrator. */
function startRegistrar(shared = true): Registrar {
  return new Registrar({
    forge,
    gate: {
      check: (_group, _runner, again) => {
        checks.push(again);
        return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
      },
    },
    records: new RegistrationRecords(shared ? bucket : undefined, log),
    stop: stopping.signal,
  });
}

const ask = (registrar: Registrar, attempt = 0, waitMs = 30_000): Promise<string> =>
  registrar.register({ order: ORDER, attempt, waitMs });

/** An answer of the forge that the test gives later. */
function holdAnswer(): { give: () => void; fail: () => void } {
  const { promise, resolve, reject } = Promise.withResolvers<Registration>();
  forge.answer = () => promise;
  return {
    give: () => resolve({ runnerId: 1, jitConfig: 'held' }),
    fail: () => reject(new BatonError('FORGE_UNAVAILABLE', '502')),
  };
}

const delayed = { code: 'REGISTRATION_DELAYED' };

describe('a runner', () => {
  it('is asked for once, however often its agent asks while the call is under way', async () => {
    const held = holdAnswer();
    const registrar = startRegistrar();
    const asks = [ask(registrar), ask(registrar, 1), ask(registrar, 2)];
    await vi.waitUntil(() => forge.asked === 1);
    held.give();
    expect(await Promise.all(asks)).toEqual(['held', 'held', 'held']);
    expect({ asked: forge.asked, checks }).toEqual({ asked: 1, checks: [false] });
  });

  it('is told to wait by another orchestrator, without a call and without asking its workflow', async () => {
    const held = holdAnswer();
    const first = ask(startRegistrar());
    await vi.waitUntil(() => forge.asked === 1);
    await expect(ask(startRegistrar(), 1)).rejects.toMatchObject(delayed);
    held.give();
    expect(await first).toBe('held');
    expect({ asked: forge.asked, checks }).toEqual({ asked: 1, checks: [false] });
  });

  it('is told to wait, at no cost, while the forge’s limits leave no room', async () => {
    forge.waitMs = 45_000;
    await expect(ask(startRegistrar())).rejects.toMatchObject({ ...delayed, details: { retryAfterMs: 35_000 } });
    expect({ asked: forge.asked, checks }).toEqual({ asked: 0, checks: [] });
  });

  it('is registered after ten failures of the forge; its workflow’s history grows only at the first', async () => {
    const registrars = [startRegistrar(), startRegistrar()];
    forge.answer = () => Promise.reject(new BatonError('FORGE_UNAVAILABLE', '502'));
    for (let attempt = 0; attempt < 10; attempt++) {
      const error = await ask(registrars[attempt % 2] ?? startRegistrar(), attempt).catch((reason: unknown) => reason);
      expect(toRefusal(error)).toMatchObject({ code: 'FORGE_UNAVAILABLE', retryable: true, retryAfterMs: 2000 });
    }
    forge.answer = () => Promise.resolve({ runnerId: 1, jitConfig: 'at last' });
    expect(await ask(registrars[0] ?? startRegistrar(), 10)).toBe('at last');
    expect(checks).toEqual([false, ...Array.from({ length: 10 }, () => true)]);
  });

  it('gets the answer that came too late for its request with the next one, and no second registration', async () => {
    const held = holdAnswer();
    const registrar = startRegistrar();
    await expect(ask(registrar, 0, 50)).rejects.toMatchObject(delayed);
    held.give();
    await vi.waitFor(async () => expect(await ask(registrar, 1)).toBe('held'));
    expect(forge.asked).toBe(1);
  });

  it('that asks again after its answer was lost gets the same one', async () => {
    const registrar = startRegistrar();
    expect(await ask(registrar)).toBe('config 1');
    expect(await ask(registrar, 1)).toBe('config 1');
    expect(forge.asked).toBe(1);
  });

  it('is refused after the fifth answer', async () => {
    const registrar = startRegistrar();
    for (let attempt = 0; attempt < MAX_ANSWERS; attempt++) await ask(registrar, attempt);
    await expect(ask(registrar, MAX_ANSWERS)).rejects.toMatchObject({ code: 'REGISTRATION_REFUSED' });
  });

  it('is registered without the shared bucket too, and asked for once in each orchestrator', async () => {
    bucket.down = true;
    const held = holdAnswer();
    const registrar = startRegistrar();
    const asks = [ask(registrar), ask(registrar, 1)];
    await vi.waitUntil(() => forge.asked === 1);
    held.give();
    expect(await Promise.all(asks)).toEqual(['held', 'held']);
    expect(forge.asked).toBe(1);
    expect(await ask(startRegistrar(false), 2)).toBe('held');
  });

  it('that was removed while the forge was slow leaves no registration behind', async () => {
    const clock = vi.spyOn(performance, 'now');
    const held = holdAnswer();
    const asking = ask(startRegistrar());
    await vi.waitUntil(() => forge.asked === 1);
    refusal = new BatonError('RUNNER_UNKNOWN', 'it has no open workflow');
    clock.mockReturnValue(performance.now() + 11_000);
    held.give();
    await expect(asking).rejects.toMatchObject({ code: 'RUNNER_UNKNOWN' });
    expect(forge.removed).toEqual([RUNNER]);
    clock.mockRestore();
  });

  it('that its workflow refused does not cost another question', async () => {
    const registrar = startRegistrar();
    refusal = new BatonError('REGISTRATION_REFUSED', 'it is idle');
    for (let attempt = 0; attempt < 3; attempt++) {
      const error = await ask(registrar, attempt).catch((reason: unknown) => reason);
      expect(toRefusal(error)).toMatchObject({ code: 'REGISTRATION_REFUSED', retryable: false });
    }
    expect({ asked: forge.asked, checks }).toEqual({ asked: 0, checks: [false] });
  });
});

describe('an answer of the forge', () => {
  it.each([
    ['FORGE_UNAVAILABLE', {}, 2000],
    ['FORGE_REFUSED', {}, 30_000],
    ['FORGE_RATE_LIMITED', { retryAfterMs: 17_000 }, 17_000],
    ['FORGE_RATE_LIMITED', {}, 10_000],
    ['BUS_UNAVAILABLE', {}, undefined],
  ] as const)('%s is never final', (code, details, retryAfterMs) => {
    const reply = toRefusal(new BatonError(code, 'x', { details }));
    expect(reply).toMatchObject({ retryable: true });
    expect(reply.retryAfterMs).toBe(retryAfterMs);
  });
});

describe('an orchestrator that stops', () => {
  it('gives up the calls that are not sent yet, and tells their runners to ask again', async () => {
    let withdrawn = false;
    forge.answer = (options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => {
          withdrawn = true;
          reject(new Error('aborted'));
        });
      });
    const asking = ask(startRegistrar());
    await vi.waitUntil(() => forge.asked === 1);
    stopping.abort();
    await expect(asking).rejects.toMatchObject(delayed);
    expect(withdrawn).toBe(true);
    await expect(ask(startRegistrar())).rejects.toMatchObject(delayed);
  });

  it('still answers a call that the forge is working on', async () => {
    const held = holdAnswer();
    const asking = ask(startRegistrar());
    await vi.waitUntil(() => forge.asked === 1);
    stopping.abort();
    await sleep(0);
    held.give();
    expect(await asking).toBe('held');
  });
});
