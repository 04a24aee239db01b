import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import type { DryScope } from './errors.ts';

/** Where and how to buy an instance. Undefined: as in the launch template, or the region's default. */
export interface Placement {
  type: string | undefined;
  subnet: string | undefined;
  market: 'spot' | 'on-demand';
}

/** All placements of a configuration, best first: sorted by market, then by type, then by subnet. */
export function toPlacements({ types, subnets, market }: Pick<Ec2Config, 'types' | 'subnets' | 'market'>): Placement[] {
  const markets: Placement['market'][] = market === 'spot-then-on-demand' ? ['spot', 'on-demand'] : [market];
  return markets.flatMap((market) =>
    (types ?? [undefined]).flatMap((type) => (subnets ?? [undefined]).map((subnet) => ({ type, subnet, market }))),
  );
}

/** `spot m7i.large in subnet-1` */
export function formatPlacement({ type, subnet, market }: Placement): string {
  return [market, type ?? 'as in the launch template', ...(subnet === undefined ? [] : [`in ${subnet}`])].join(' ');
}

/**
 * Remembers for a while which placements had no capacity. Not persistent: after a restart, a few calls find out again.
 */
export class DryPlacements {
  readonly #placements: readonly Placement[];
  readonly #dryForMs: number;
  readonly #driedAt = new Map<Placement, number>();

  constructor(placements: readonly Placement[], forMs: number) {
    this.#placements = placements;
    this.#dryForMs = forMs;
  }

  /** The placements to try, in this order. If all are dry, only the one that has been dry for longest. */
  order(now = Date.now()): Placement[] {
    const available = this.#placements.filter(
      (placement) => (this.#driedAt.get(placement) ?? -Infinity) <= now - this.#dryForMs,
    );
    if (available.length > 0) return available;
    const since = (placement: Placement): number => this.#driedAt.get(placement) ?? 0;
    return this.#placements.toSorted((a, b) => since(a) - since(b)).slice(0, 1);
  }

  /** Marks a placement as dry, and with it all those that lack capacity for the same reason. */
  add(dry: Placement, scope: DryScope, now = Date.now()): void {
    for (const placement of this.#placements) {
      const same =
        scope === 'subnet'
          ? placement.subnet === dry.subnet
          : placement.market === dry.market && (scope === 'market' || placement.type === dry.type);
      if (placement === dry || (scope !== 'placement' && same)) this.#driedAt.set(placement, now);
    }
  }

  /** Whether it was found dry at or after that time. */
  isDrySince(placement: Placement, since: number): boolean {
    return (this.#driedAt.get(placement) ?? -Infinity) >= since;
  }

  remove(placement: Placement): void {
    this.#driedAt.delete(placement);
  }
}
