import type { Random } from '../../services/simulator/random.ts';
import type { FaultRates } from '../../services/simulator/webhooks/faults.ts';

/** What can happen. Times are milliseconds; `pick`, from 0 to 1, chooses among the instances that exist by then. */
export type ChaosFault =
  /** `kill -9`; started again after `downMs`. */
  | { kind: 'kill'; target: string; downMs: number }
  | { kind: 'kill-everything'; downMs: number }
  /** SIGSTOP, and SIGCONT after `forMs`. */
  | { kind: 'stop'; target: string; forMs: number }
  /** SIGTERM, and started again, as in an update. */
  | { kind: 'restart'; target: string; downMs: number }
  | { kind: 'webhooks'; rates: Partial<FaultRates>; forMs: number }
  /** This share of the forge's answers is an error, half of them after the work was done. */
  | { kind: 'api-errors'; rate: number; forMs: number }
  | { kind: 'api-slow'; delayMs: number; forMs: number }
  /** The forge answers every call with 502, then no call at all. */
  | { kind: 'api-outage'; forMs: number }
  /** The forge's secondary limit begins. */
  | { kind: 'api-limit' }
  /** Every call is refused, although the forge is well. */
  | { kind: 'refusal'; refusal: Refusal; forMs: number }
  /** An instance ends outside of Baton. */
  | { kind: 'instance-death'; group: string; which: 'idle' | 'busy' | 'any'; pick: number; remove: boolean }
  /** A person deletes an idle runner's registration; its process lives. */
  | { kind: 'registration-loss'; group: string; pick: number }
  /** A person cancels waiting jobs: runners that are starting for them are no longer needed. */
  | { kind: 'cancel'; group: string; count: number };

export type FaultKind = ChaosFault['kind'];

/** `404` is a repository, organisation or runner that the credential can no longer see. */
const REFUSALS = ['suspended', 'forbidden', 'sso', '404', '401'] as const;
export type Refusal = (typeof REFUSALS)[number];

export const FAULT_KINDS = [
  'kill',
  'kill-everything',
  'stop',
  'restart',
  'webhooks',
  'api-errors',
  'api-slow',
  'api-outage',
  'api-limit',
  'refusal',
  'instance-death',
  'registration-loss',
  'cancel',
] as const satisfies readonly FaultKind[];

interface Choices {
  random: Random;
  nextProcess: () => string;
  nextGroup: () => string;
  maxFaultMs: number;
}

const SERVERS = new Set(['nats', 'temporal']);

/** Most faults are short, so that a run has many of them: one in five may take the longest time. */
const LONG_SHARE = 0.2;
const SHORT_MS = 6_000;

/** Draws the details of a fault. */
export function drawFault(kind: FaultKind, choices: Choices): ChaosFault {
  const { random, nextProcess, nextGroup, maxFaultMs } = choices;
  const drawTime = (share = 1): number => {
    // Where none may be long, there is nothing to draw.
    const mayBeLong = maxFaultMs <= SHORT_MS || random.chance(LONG_SHARE);
    const most = Math.floor(maxFaultMs * share);
    return random.integer(1_000, Math.max(1_000, mayBeLong ? most : Math.min(most, SHORT_MS)));
  };
  const downMs = random.integer(0, 1_500);
  switch (kind) {
    case 'kill':
      return { kind, target: nextProcess(), downMs };
    case 'kill-everything':
      return { kind, downMs };
    case 'stop':
      return { kind, target: nextProcess(), forMs: drawTime() };
    case 'restart': {
      const target = nextProcess();
      // Nobody updates a server of a running installation like that; it is killed.
      return SERVERS.has(target) ? { kind: 'kill', target, downMs } : { kind, target, downMs };
    }
    case 'webhooks':
      return { kind, rates: drawRates(random), forMs: drawTime() };
    case 'api-errors':
      return { kind, rate: random.pick([0.2, 0.4, 0.7]) ?? 0, forMs: drawTime() };
    case 'api-slow':
      return { kind, delayMs: random.integer(500, 5_000), forMs: drawTime() };
    case 'api-outage':
      return { kind, forMs: drawTime(0.7) };
    case 'api-limit':
      return { kind };
    case 'refusal':
      return { kind, refusal: random.pick(REFUSALS) ?? '404', forMs: drawTime() };
    case 'instance-death': {
      const which = random.pick(['idle', 'busy', 'any'] as const) ?? 'any';
      return { kind, group: nextGroup(), which, pick: random.next(), remove: random.chance(0.3) };
    }
    case 'registration-loss':
      return { kind, group: nextGroup(), pick: random.next() };
    case 'cancel':
      return { kind, group: nextGroup(), count: random.integer(1, 3) };
    default:
      return kind satisfies never;
  }
}

function drawRates(random: Random): Partial<FaultRates> {
  return {
    loss: random.pick([0.2, 0.5, 1]) ?? 0,
    lossIsRecorded: random.chance(0.5),
    duplication: random.pick([0, 0.5]) ?? 0,
    reorder: random.pick([0, 0.5]) ?? 0,
    delay: random.pick([0, 0.5]) ?? 0,
    delayMaxMs: random.integer(500, 5_000),
  };
}

/** One line, such as `stop relay-1 forMs=3000`. */
export function formatFault({ kind, ...details }: ChaosFault): string {
  const texts = Object.entries(details).map(([name, value]) =>
    name === 'target' || name === 'group' ? String(value) : `${name}=${formatValue(value)}`,
  );
  return [kind, ...texts].join(' ');
}

function formatValue(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 1000) / 1000);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
