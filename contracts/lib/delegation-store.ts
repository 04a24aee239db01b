import { createHash } from 'node:crypto';
import { NatsError, type KV } from 'nats';
import { z } from 'zod';
import { BatonError, messageOf } from '../errors.ts';
import { delegatedJob, type DelegatedJob } from '../messages/delegation.ts';
import { decode, encode, type Bus } from './nats.ts';
import { STREAMS } from '../messages/streams.ts';

/** JetStream's word that a key exists already (wrong last sequence). */
const EXISTS = 10_071;

const claim = z.object({ delegation: z.string() });

/** A job by its id, and by its place: its name is the same in every attempt of its run. */
export interface JobIdentity {
  id: number;
  runId: number;
  attempt: number;
  name: string;
}

function promiseKey({ runId, attempt, name }: Omit<JobIdentity, 'id'>): string {
  return `attempt.${runId}.${attempt}.${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
}

/** What one delegation's environment was, for its API answer alone. */
const extras = z.object({
  environment: z.record(z.string(), z.string()),
  matrix: z.record(z.string(), z.unknown()).nullable(),
  needs: z.array(z.string()).nullable(),
});

export type JobExtras = z.infer<typeof extras>;

/**
 * Where delegations' states are kept for those who ask: a NATS key-value bucket, a key a delegation (`job.ID`), and which
 * delegation a forge's job belongs to (`claim.JOB`, `attempt.RUN.ATTEMPT.NAME`). Temporal decides, this only tells.
 */
export class DelegationStore {
  readonly #kv: KV;

  private constructor(kv: KV) {
    this.#kv = kv;
  }

  /** The bucket itself is one of {@link STREAMS}. */
  static async open(bus: Bus): Promise<DelegationStore> {
    const name = STREAMS.delegatedJobs.name.slice('KV_'.length);
    return new DelegationStore(await bus.jetstream().views.kv(name, { bindOnly: true, allow_direct: true }));
  }

  async put(job: DelegatedJob): Promise<void> {
    await this.#tried(`keeping delegation ${job.id}`, () => this.#kv.put(`job.${job.id}`, encode(job)));
  }

  /** Keeps the first state of a delegation; one that is there already stays. */
  async putNew(job: DelegatedJob, more: JobExtras): Promise<void> {
    await Promise.all([this.#create(`extras.${job.id}`, more), this.#create(`job.${job.id}`, job)]);
  }

  async get(id: string): Promise<DelegatedJob | undefined> {
    const found = await this.#read(`job.${id}`);
    return found === undefined ? undefined : delegatedJob.parse(decode(found));
  }

  async extras(id: string): Promise<JobExtras | undefined> {
    const found = await this.#read(`extras.${id}`);
    return found === undefined ? undefined : extras.parse(decode(found));
  }

  /** All there are, in no order. */
  async list(): Promise<DelegatedJob[]> {
    return await this.#tried('listing delegations', async () => {
      const found: DelegatedJob[] = [];
      for await (const entry of await this.#kv.history({ key: 'job.*' })) {
        const parsed = delegatedJob.safeParse(decode(entry.value));
        if (parsed.success) found.push(parsed.data);
      }
      return found;
    });
  }

  /**
   * Claims a forge's job for a delegation; the first one keeps it.
   *
   * @returns whose it is
   */
  async claim(job: JobIdentity, delegation: string): Promise<string> {
    const promised = await this.#claimed(promiseKey(job));
    if (promised !== undefined) return promised;
    if (await this.#create(`claim.${job.id}`, { delegation })) return delegation;
    return (await this.#claimed(`claim.${job.id}`)) ?? delegation;
  }

  /** Claims a job of an attempt that is yet to be: a runner may take it before anybody knows its id. */
  async claimAttempt(job: Omit<JobIdentity, 'id'>, delegation: string): Promise<string> {
    const key = promiseKey(job);
    if (await this.#create(key, { delegation })) return delegation;
    return (await this.#claimed(key)) ?? delegation;
  }

  /** The delegation that a forge's job belongs to. */
  async owner(job: JobIdentity): Promise<string | undefined> {
    return (await this.#claimed(promiseKey(job))) ?? (await this.#claimed(`claim.${job.id}`));
  }

  async #claimed(key: string): Promise<string | undefined> {
    const found = await this.#read(key);
    return found === undefined ? undefined : claim.parse(decode(found)).delegation;
  }

  async #create(key: string, value: unknown): Promise<boolean> {
    return await this.#tried(`keeping ${key}`, async () => {
      try {
        await this.#kv.create(key, encode(value));
        return true;
      } catch (error) {
        if (error instanceof NatsError && error.api_error?.err_code === EXISTS) return false;
        throw error;
      }
    });
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    return await this.#tried(`reading ${key}`, async () => (await this.#kv.get(key))?.value);
  }

  async #tried<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BatonError || error instanceof z.ZodError) throw error;
      throw new BatonError('BUS_UNAVAILABLE', `${doing}: ${messageOf(error)}`, { cause: error });
    }
  }
}
