import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import type { DryScope } from './errors.ts';

/** Where and how an instance may be bought. Undefined: as the launch template has it, or the region's default. */
export interface Placement {
  type: string | undefined;
  subnet: string | undefined;
  market: 'spot' | 'on-demand';
}

/** All places of a configuration, best first: the market decides, then the type, then the subnet. */
export function toPlacements({ types, subnets, market }: Pick<Ec2Config, 'types' | 'subnets' | 'market'>): Placement[] {
  const markets: Placement['market'][] = market === 'spot-then-on-demand' ? ['spot', 'on-demand'] : [market];
  return markets.flatMap((market) =>
    (types ?? [undefined]).flatMap((type) => (subnets ?? [undefined]).map((subnet) => ({ type, subnet, market }))),
  );
}

/** For people: `spot m7i.large in subnet-1`. */
export function formatPlacement({ type, subnet, market }: Placement): string {
  return [market, type ?? 'as in the launch template', ...(subnet === undefined ? [] : [`in ${subnet}`])].join(' ');
}

/** Remembers for a while which places had no capacity. Not kept over a restart: it costs a few asks to learn anew. */
export class DryPlacements {
  readonly #placements: readonly Placement[];
  readonly #dryForMs: number;
  readonly #driedAt = new Map<Placement, number>();

  constructor(places: readonly Placement[], forMs: number) {
    this.#placements = places;
    this.#dryForMs = forMs;
  }

  /** Where to try, in this order. Where all are dry, only the one that has been for longest: a burst asks each once. */
  order(now = Date.now()): Placement[] {
    const wet = this.#placements.filter((place) => (this.#driedAt.get(place) ?? -Infinity) <= now - this.#dryForMs);
    if (wet.length > 0) return wet;
    const since = (place: Placement): number => this.#driedAt.get(place) ?? 0;
    return this.#placements.toSorted((a, b) => since(a) - since(b)).slice(0, 1);
  }

  /** Takes down that a place had no capacity, and all those that can't have any for the same reason. */
  add(dry: Placement, scope: DryScope, now = Date.now()): void {
    for (const place of this.#placements) {
      const same =
        scope === 'subnet'
          ? place.subnet === dry.subnet
          : place.market === dry.market && (scope === 'market' || place.type === dry.type);
      if (place === dry || (scope !== 'place' && same)) this.#driedAt.set(place, now);
    }
  }

  /** Whether it was found dry since then. */
  isDrySince(place: Placement, since: number): boolean {
    return (this.#driedAt.get(place) ?? -Infinity) >= since;
  }

  remove(place: Placement): void {
    this.#driedAt.delete(place);
  }
}
