import { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import type { NatsLink } from './nats-link.ts';

/** The delegation store on the current NATS connection. Opens the store once for each connection. */
export class DelegationStoreLink {
  readonly #link: NatsLink;
  #opened: { bus: Bus; store: DelegationStore } | undefined;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  /**
   * The connection and the store, as soon as NATS answers.
   *
   * @throws BatonError BUS_UNAVAILABLE when NATS does not answer within `timeoutMs`; the NATS client's error when the
   *   store cannot be opened
   */
  async connected(timeoutMs: number): Promise<{ bus: Bus; store: DelegationStore }> {
    const bus = await this.#link.connected(timeoutMs);
    if (this.#opened?.bus !== bus) this.#opened = { bus, store: await DelegationStore.open(bus) };
    return this.#opened;
  }
}
