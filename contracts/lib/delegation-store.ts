import { createHash } from 'node:crypto';
import { NatsError } from 'nats';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../errors.ts';
import { delegatedJob, type DelegatedJob } from '../messages/delegation.ts';
import { decode, encode, openBucket, type Bucket, type Bus } from './nats.ts';
import { readStream } from './stream-reader.ts';
import { STREAMS } from '../messages/streams.ts';

/** JetStream's error code when a key exists already (wrong last sequence). */
const KEY_EXISTS = 10_071;

const claim = z.object({ delegation: z.string() });

/** Identifies a job by its id, and by its run, attempt and name: the name is the same in every attempt of the run. */
export interface JobIdentity {
  id: number;
  runId: number;
  attempt: number;
  name: string;
}

function toAttemptKey({ runId, attempt, name }: Omit<JobIdentity, 'id'>): string {
  return `attempt.${runId}.${attempt}.${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
}

/** A delegation's environment, matrix and needs: only the API returns them. */
const extras = z.object({
  environment: z.record(z.string(), z.string()),
  matrix: z.record(z.string(), z.unknown()).nullable(),
  needs: z.array(z.string()).nullable(),
});

export type JobExtras = z.infer<typeof extras>;

/**
 * The states of delegations, for the API: a NATS key-value bucket with one key per delegation (`job.ID`), and which delegation a
 * job on the forge belongs to (`claim.JOB`, `attempt.RUN.ATTEMPT.NAME`). Temporal has the authoritative state; this is a copy.
 */
export class DelegationStore {
  readonly #bus: Bus;
  readonly #kv: Bucket;

  private constructor(bus: Bus, kv: Bucket) {
    this.#bus = bus;
    this.#kv = kv;
  }

  /** Opens the bucket, which is one of {@link STREAMS}. */
  static async open(bus: Bus): Promise<DelegationStore> {
    return new DelegationStore(bus, await openBucket(bus, STREAMS.delegatedJobs));
  }

  async put(job: DelegatedJob): Promise<void> {
    await this.#withErrors(`storing delegation ${job.id}`, () => this.#kv.put(`job.${job.id}`, encode(job)));
  }

  /** Stores the first state of a delegation, unless there is one already. */
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

  /** All delegations, in no particular order. */
  async list(): Promise<DelegatedJob[]> {
    return await this.#withErrors('listing delegations', async () => {
      const found: DelegatedJob[] = [];
      const stream = STREAMS.delegatedJobs;
      const subject = stream.subjects[0].replace('>', 'job.*');
      for await (const { data } of readStream(this.#bus, stream, { subject })) {
        const parsed = delegatedJob.safeParse(decode(data));
        if (parsed.success) found.push(parsed.data);
      }
      return found;
    });
  }

  /**
   * Claims a job on the forge for a delegation. The first claim wins.
   *
   * @returns the delegation that the job belongs to
   */
  async claim(job: JobIdentity, delegation: string): Promise<string> {
    const claimedAttempt = await this.#readClaim(toAttemptKey(job));
    if (claimedAttempt !== undefined) return claimedAttempt;
    if (await this.#create(`claim.${job.id}`, { delegation })) return delegation;
    return (await this.#readClaim(`claim.${job.id}`)) ?? delegation;
  }

  /** Claims a job of an attempt that does not exist yet: a runner may take the job before its id is known. */
  async claimAttempt(job: Omit<JobIdentity, 'id'>, delegation: string): Promise<string> {
    const key = toAttemptKey(job);
    if (await this.#create(key, { delegation })) return delegation;
    return (await this.#readClaim(key)) ?? delegation;
  }

  /** The delegation that a job on the forge belongs to. */
  async owner(job: JobIdentity): Promise<string | undefined> {
    return (await this.#readClaim(toAttemptKey(job))) ?? (await this.#readClaim(`claim.${job.id}`));
  }

  async #readClaim(key: string): Promise<string | undefined> {
    const found = await this.#read(key);
    return found === undefined ? undefined : claim.parse(decode(found)).delegation;
  }

  async #create(key: string, value: unknown): Promise<boolean> {
    return await this.#withErrors(`storing ${key}`, async () => {
      try {
        await this.#kv.create(key, encode(value));
        return true;
      } catch (error) {
        if (error instanceof NatsError && error.api_error?.err_code === KEY_EXISTS) return false;
        throw error;
      }
    });
  }

  async #read(key: string): Promise<Uint8Array | undefined> {
    return await this.#withErrors(`reading ${key}`, async () => (await this.#kv.get(key))?.value);
  }

  async #withErrors<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BatonError || error instanceof z.ZodError) throw error;
      throw new BatonError('BUS_UNAVAILABLE', `${doing}: ${getErrorMessage(error)}`, { cause: error });
    }
  }
}
