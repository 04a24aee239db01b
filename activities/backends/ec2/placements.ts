import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import type { DryScope } from './errors.ts';

/** Where and how an instance may be bought. Undefined: as the launch template has it, or the region's default. */
export interface Place {
  type: string | undefined;
  subnet: string | undefined;
  market: 'spot' | 'on-demand';
}

/** All places of a configuration, best first: the market decides, then the type, then the subnet. */
export function placesOf({ types, subnets, market }: Pick<Ec2Config, 'types' | 'subnets' | 'market'>): Place[] {
  const markets: Place['market'][] = market === 'spot-then-on-demand' ? ['spot', 'on-demand'] : [market];
  return markets.flatMap((market) =>
    (types ?? [undefined]).flatMap((type) => (subnets ?? [undefined]).map((subnet) => ({ type, subnet, market }))),
  );
}

/** For people: `spot m7i.large in subnet-1`. */
export function placeText({ type, subnet, market }: Place): string {
  return [market, type ?? 'as in the launch template', ...(subnet === undefined ? [] : [`in ${subnet}`])].join(' ');
}

/** Remembers for a while which places had no capacity. Not kept over a restart: it costs a few asks to learn anew. */
export class DryPlaces {
  readonly #places: readonly Place[];
  readonly #forMs: number;
  readonly #driedAt = new Map<Place, number>();

  constructor(places: readonly Place[], forMs: number) {
    this.#places = places;
    this.#forMs = forMs;
  }

  /** Where to try, in this order. Where all are dry, only the one that has been for longest: a burst asks each once. */
  order(now = Date.now()): Place[] {
    const wet = this.#places.filter((place) => (this.#driedAt.get(place) ?? -Infinity) <= now - this.#forMs);
    if (wet.length > 0) return wet;
    const since = (place: Place): number => this.#driedAt.get(place) ?? 0;
    return this.#places.toSorted((a, b) => since(a) - since(b)).slice(0, 1);
  }

  /** Takes down that a place had no capacity, and all those that can't have any for the same reason. */
  add(dry: Place, scope: DryScope, now = Date.now()): void {
    for (const place of this.#places) {
      const same =
        scope === 'subnet'
          ? place.subnet === dry.subnet
          : place.market === dry.market && (scope === 'market' || place.type === dry.type);
      if (place === dry || (scope !== 'place' && same)) this.#driedAt.set(place, now);
    }
  }

  /** Whether it was found dry since then. */
  driedSince(place: Place, since: number): boolean {
    return (this.#driedAt.get(place) ?? -Infinity) >= since;
  }

  remove(place: Place): void {
    this.#driedAt.delete(place);
  }
}
