import type { KV } from 'nats';
import type { MadeGroups } from '../../activities/forges/github/made-groups.ts';
import { encode, MADE_GROUPS_BUCKET, type Bus } from '../../contracts/lib/nats.ts';

/** The runner groups that this installation has made on its forge, in a NATS bucket that all orchestrators share. Kept for ever. */
export class KeyValueMadeGroups implements MadeGroups {
  readonly #bucket: KV;
  readonly #forge: string;

  private constructor(bucket: KV, forge: string) {
    this.#bucket = bucket;
    this.#forge = forge;
  }

  /** @param url the forge's web address */
  static async open(bus: Bus, url: string): Promise<KeyValueMadeGroups> {
    const bucket = await bus.jetstream().views.kv(MADE_GROUPS_BUCKET, { history: 1 });
    return new KeyValueMadeGroups(bucket, new URL(url).host);
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
