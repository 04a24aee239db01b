import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ROWS, type Row } from './rows.ts';

/** The result of a row: `kept`, `broken`, `not run`, or why it does not apply to this backend. */
const outcome = z.union([z.enum(['kept', 'broken', 'not run']), z.object({ absent: z.string() })]);
export type Outcome = z.infer<typeof outcome>;

/** The results of one backend. */
export const outcomes = z.object({
  backend: z.string(),
  /** What it ran against. */
  against: z.string(),
  rows: z.record(z.enum(ROWS), outcome),
});
export type Outcomes = z.infer<typeof outcomes>;

/** The folder where runs write their results for the table; set by `npm run contract`. */
export const OUTCOMES_VARIABLE = 'BATON_CONTRACT_OUTCOMES';

/** The page with the table of all backends. */
export const CONTRACT_PAGE = fileURLToPath(
  new URL('../../../deploy/docs/reference/backend-contract.md', import.meta.url),
);

/** A row's cell in the table, without its footnote. */
export function mark(result: Outcome): string {
  if (typeof result === 'object') return '–';
  return result === 'kept' ? '✓' : result === 'broken' ? '✗' : '?';
}

/** Collects the results of a run's rows. */
export class OutcomeBook {
  readonly #outcomes: Outcomes;

  constructor(backend: string) {
    const rows = Object.fromEntries(ROWS.map((row) => [row, 'not run']));
    this.#outcomes = outcomes.parse({ backend, against: '', rows });
  }

  /** Sets what the run is against. */
  against(what: string): void {
    this.#outcomes.against = what;
  }

  set(row: Row, result: Outcome): void {
    this.#outcomes.rows[row] = result;
  }

  /** Whether every row was run or does not apply. */
  get complete(): boolean {
    return Object.values(this.#outcomes.rows).every((result) => result !== 'not run');
  }

  /** The rows whose result differs from the page. */
  differences(): string[] {
    if (process.env[OUTCOMES_VARIABLE] !== undefined) return [];
    const page = existsSync(CONTRACT_PAGE) ? readFileSync(CONTRACT_PAGE, 'utf8') : '';
    const table = page
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.split('|').map((cell) => cell.trim()));
    const column = table[0]?.indexOf(this.#outcomes.backend) ?? -1;
    if (column < 1) return [`no column ${this.#outcomes.backend}: npm run contract writes the page`];
    return ROWS.filter((row) => {
      const cell = table.find((cells) => cells[1] === row)?.[column] ?? '';
      return !cell.startsWith(mark(this.#outcomes.rows[row]));
    });
  }

  /** Writes the results to the folder that `npm run contract` names. */
  save(): void {
    const folder = process.env[OUTCOMES_VARIABLE];
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${this.#outcomes.backend}.json`), JSON.stringify(this.#outcomes));
  }
}
