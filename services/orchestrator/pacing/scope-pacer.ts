import type { Bucket } from '../../../contracts/lib/nats.ts';
import { Counter, type Registry } from 'prom-client';
import { toScopeName } from '../../../activities/forges/github/paths.ts';
import type { SharedDocument } from '../../../activities/lib/shared-document.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { Forge, ForgeScope } from '../../../contracts/ports/forge.ts';
import type { StartAllowance, StartPacer, WantedStarts } from '../../../contracts/ports/start-pacer.ts';
import { KeyValueDocument } from '../rate-limit/key-value-document.ts';
import type { SharedClock } from '../rate-limit/shared-clock.ts';
import { NO_STARTS, planStarts, startUses, type StartUses } from './plan-starts.ts';

/** Names for people, by the forge's type. */
const FORGE_NAMES: Readonly<Record<string, string>> = { github: 'GitHub' };

export interface ScopePacerOptions {
  forge: Pick<Forge, 'type' | 'getRegistrationOutlook'>;
  /** The starts of a scope, which all orchestrators share, by the scope's key. */
  open: (key: string) => SharedDocument<StartUses>;
  metrics: Registry;
  /** The clock of all orchestrators, milliseconds since the epoch. Default: this machine's. */
  now?: () => number;
}

/** Paces starts by scope: first come, first served among its groups. */
export class ScopePacer implements StartPacer {
  readonly #options: ScopePacerOptions;
  readonly #scopes = new Map<string, SharedDocument<StartUses>>();
  readonly #heldBack: Counter<'scope'>;

  constructor(options: ScopePacerOptions) {
    this.#options = options;
    this.#heldBack = new Counter({
      name: 'baton_starts_held_back_total',
      help: 'Starts of runners put off because the forge does not let them register soon, by scope; each time counts',
      labelNames: ['scope'],
      registers: [options.metrics],
    });
  }

  /** Without NATS, each orchestrator counts for itself: a runner that should start must not wait for a count. */
  async take(scope: ForgeScope, group: string, wanted: WantedStarts): Promise<StartAllowance> {
    const { forge, now = Date.now } = this.#options;
    const name = toScopeName(scope);
    const outlook = forge.getRegistrationOutlook(scope, group);
    const names = { forge: FORGE_NAMES[forge.type] ?? 'the forge' };
    let { allowance, uses } = planStarts(NO_STARTS, wanted, outlook, { ...names, now: now() });
    // Nothing is counted where nothing limits starts or nothing may start.
    if (uses !== NO_STARTS) {
      await this.#find(name).change((before) => {
        ({ allowance, uses } = planStarts(before, wanted, outlook, { ...names, now: now() }));
        return uses;
      });
    }
    this.#heldBack.inc({ scope: name }, wanted.jobs + wanted.idle - allowance.allowed);
    return allowance;
  }

  #find(scope: string): SharedDocument<StartUses> {
    const key = scope.toLowerCase();
    const known = this.#scopes.get(key) ?? this.#options.open(key);
    this.#scopes.set(key, known);
    return known;
  }
}

/** @param shared the bucket and the clock of all orchestrators */
export function createScopePacer(
  { bucket, clock }: { bucket: Bucket; clock: SharedClock },
  forge: ScopePacerOptions['forge'],
  metrics: Registry,
  log: Logger,
): ScopePacer {
  const open = (scope: string): SharedDocument<StartUses> => {
    // A key may not have two dots in a row, as a repository's name may; `=` is in no name.
    const key = `starts/${scope.replaceAll('.', '=')}`;
    return new KeyValueDocument({ bucket, key, schema: startUses, empty: NO_STARTS, log });
  };
  return new ScopePacer({ forge, open, metrics, now: clock.now });
}
