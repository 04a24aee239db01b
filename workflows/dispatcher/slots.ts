import type { PlacesAnswer, PlacesStatement } from '../../contracts/workflows/actors.ts';

/** An answer that did not come by then will not come: the statement is made again. */
const ANSWER_WITHIN_MS = 60_000;
/** Longest waits told in one statement; the next one tells more. */
const WANTS_AT_MOST = 100;

interface Place {
  /** Of the last statement; 0 before the first. */
  number: number;
  statedAt: number;
  /** What the last statement said. */
  have: number;
  wants: (number | null)[];
  answered: boolean;
  /** Starts that its answers allow, and how many of them were made. */
  granted: number;
  used: number;
}

export type PlacesState = [backend: string, place: Place][];

/** What a dispatcher has to say about one backend. */
export type Situation = Omit<PlacesStatement, 'number'>;

/**
 * A dispatcher's places on capped backends. Nothing starts without a place; a runner that is gone gives its own back with the
 * next statement, so that the keeper can give it to whoever waits longest.
 */
export class Places {
  readonly #places: Map<string, Place>;

  constructor(state?: PlacesState) {
    this.#places = new Map(state);
  }

  /** How many of so many starts are allowed now. */
  startable(backend: string, wanted: number): number {
    const place = this.#places.get(backend);
    return place === undefined ? 0 : Math.max(0, Math.min(wanted, place.granted - place.used));
  }

  /** So many were started. */
  use(backend: string, count: number): void {
    const place = this.#places.get(backend);
    if (place) place.used += count;
  }

  /** The keeper's word. One that answers an older statement no longer holds. */
  answer({ backend, number, allowed }: PlacesAnswer): void {
    const place = this.#places.get(backend);
    if (place?.number !== number) return;
    place.answered = true;
    place.granted = Math.max(place.granted, allowed - place.have);
  }

  /** Everything is to be said again: the keeper may have forgotten it. */
  restate(): void {
    for (const place of this.#places.values()) place.number = 0;
  }

  /** A backend that is not capped any more. */
  drop(backend: string): void {
    this.#places.delete(backend);
  }

  /** The backends with which there is something to settle. */
  backends(): string[] {
    return [...this.#places.keys()];
  }

  /** Whether the keeper was told last that nothing is held nor wanted. */
  released(backend: string): boolean {
    const place = this.#places.get(backend);
    return place === undefined || (place.number > 0 && place.have === 0 && place.wants.length === 0);
  }

  /** The statement to be made now, where the last one does not hold any more; gives back what it does not ask for. */
  due(situation: Situation, now: number): PlacesStatement | undefined {
    const { backend, have } = situation;
    const place = this.#places.get(backend) ?? nothing();
    const wants = situation.wants.slice(0, WANTS_AT_MOST);
    if (place.number > 0) {
      if (!place.answered && now < place.statedAt + ANSWER_WITHIN_MS) return undefined;
      const same =
        place.answered &&
        have === place.have + place.used &&
        place.granted === place.used &&
        JSON.stringify(wants) === JSON.stringify(place.wants.slice(place.granted, place.granted + wants.length)) &&
        wants.length === Math.min(WANTS_AT_MOST, Math.max(0, place.wants.length - place.granted));
      if (same) return undefined;
    }
    // Higher than any number of an earlier life of this group, too.
    const number = Math.max(place.number + 1, place.statedAt + 1, now);
    this.#places.set(backend, { number, statedAt: now, have, wants, answered: false, granted: 0, used: 0 });
    return { ...situation, wants, number };
  }

  /** When an answer is overdue, milliseconds since the epoch. */
  overdueAt(): number | undefined {
    const open = [...this.#places.values()].filter(({ number, answered }) => number > 0 && !answered);
    return open.length === 0 ? undefined : Math.min(...open.map(({ statedAt }) => statedAt + ANSWER_WITHIN_MS));
  }

  /** Runners for which a place is wanted. */
  wanted(): number {
    let count = 0;
    for (const { wants, granted } of this.#places.values()) count += Math.max(0, wants.length - granted);
    return count;
  }

  toState(): PlacesState {
    return [...this.#places];
  }
}

function nothing(): Place {
  return { number: 0, statedAt: 0, have: 0, wants: [], answered: false, granted: 0, used: 0 };
}
