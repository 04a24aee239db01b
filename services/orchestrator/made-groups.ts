import type { MadeGroups } from '../../activities/forges/github/made-groups.ts';
import { encode, openBucket, type Bucket, type Bus } from '../../contracts/lib/nats.ts';
import { STREAMS } from '../../contracts/messages/streams.ts';

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
    return (await this.#bucket.get(this.#toKey(organization, id))) !== null;
  }

  async add(organization: string, id: number): Promise<void> {
    await this.#bucket.put(this.#toKey(organization, id), encode({ at: new Date().toISOString() }));
  }

  /** Keys of NATS take letters, digits and some signs. */
  #toKey(organization: string, id: number): string {
    return `${this.#forge}/${organization.toLowerCase()}/${id}`.replaceAll(/[^\w/.-]/g, '_');
  }
}
