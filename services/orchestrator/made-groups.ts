import { z } from 'zod';
import type { MadeGroups } from '../../activities/forges/github/made-groups.ts';
import { decode, encode, openBucket, writeRevision, type Bucket, type Bus } from '../../contracts/lib/nats.ts';
import { STREAMS } from '../../contracts/messages/streams.ts';

/** Whether a group of that name is being made. */
const creation = z.object({ begun: z.boolean(), at: z.string() });

/** The runner groups that this installation has made on its forge, in a NATS bucket that all orchestrators share. */
export class KeyValueMadeGroups implements MadeGroups {
  readonly #bucket: Bucket;
  readonly #forge: string;

  private constructor(bucket: Bucket, forge: string) {
    this.#bucket = bucket;
    this.#forge = forge;
  }

  /** @param url the forge's web address */
  static async open(bus: Bus, url: string): Promise<KeyValueMadeGroups> {
    return new KeyValueMadeGroups(await openBucket(bus, STREAMS.groups), new URL(url).host);
  }

  async has(organization: string, id: number): Promise<boolean> {
    return (await this.#bucket.get(this.#toKey(organization, String(id)))) !== null;
  }

  async add(organization: string, id: number): Promise<void> {
    await this.#bucket.put(this.#toKey(organization, String(id)), encode({ at: new Date().toISOString() }));
  }

  async begin(organization: string, name: string): Promise<boolean> {
    const { begun, revision } = await this.#readCreation(organization, name);
    if (begun) return true;
    const written = await writeRevision(
      this.#bucket,
      this.#toCreationKey(organization, name),
      { begun: true, at: new Date().toISOString() },
      revision,
    );
    // Another orchestrator has just begun.
    return written === undefined;
  }

  async isBegun(organization: string, name: string): Promise<boolean> {
    return (await this.#readCreation(organization, name)).begun;
  }

  async end(organization: string, name: string): Promise<void> {
    const over = { begun: false, at: new Date().toISOString() };
    await this.#bucket.put(this.#toCreationKey(organization, name), encode(over));
  }

  async #readCreation(organization: string, name: string): Promise<{ begun: boolean; revision: number }> {
    const entry = await this.#bucket.get(this.#toCreationKey(organization, name));
    if (entry === null) return { begun: false, revision: 0 };
    return { begun: creation.parse(decode(entry.value)).begun, revision: entry.revision };
  }

  #toCreationKey(organization: string, name: string): string {
    return this.#toKey(organization, `creation/${name.toLowerCase()}`);
  }

  /** Keys of NATS take letters, digits and some signs. */
  #toKey(organization: string, group: string): string {
    return `${this.#forge}/${organization.toLowerCase()}/${group}`.replaceAll(/[^\w/.-]/g, '_');
  }
}
