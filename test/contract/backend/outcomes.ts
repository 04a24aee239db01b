import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ROWS, type Row } from './rows.ts';

/** What a row came to: `kept`, `broken`, or why it is nothing for this backend. */
const outcome = z.union([z.enum(['kept', 'broken', 'not run']), z.object({ absent: z.string() })]);
export type Outcome = z.infer<typeof outcome>;

/** How one backend did. */
export const outcomes = z.object({
  backend: z.string(),
  /** What it ran against. */
  against: z.string(),
  rows: z.record(z.enum(ROWS), outcome),
});
export type Outcomes = z.infer<typeof outcomes>;

/** The folder that runs leave their outcomes in, for the table; set by `npm run contract`. */
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

/** Takes down what each row of a run came to. */
export class OutcomeBook {
  readonly #outcomes: Outcomes;

  constructor(backend: string) {
    const rows = Object.fromEntries(ROWS.map((row) => [row, 'not run']));
    this.#outcomes = outcomes.parse({ backend, against: '', rows });
  }

  /** Says what the run is against. */
  against(what: string): void {
    this.#outcomes.against = what;
  }

  set(row: Row, result: Outcome): void {
    this.#outcomes.rows[row] = result;
  }

  /** Whether every row was run, or is nothing for this backend. */
  get complete(): boolean {
    return Object.values(this.#outcomes.rows).every((result) => result !== 'not run');
  }

  /** Where the page says something else than the run, a line each. */
  differences(): string[] {
    if (process.env[OUTCOMES_VARIABLE] !== undefined) return [];
    const page = existsSync(CONTRACT_PAGE) ? readFileSync(CONTRACT_PAGE, 'utf8') : '';
    const table = page
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.split('|').map((cell) => cell.trim()));
    const column = table[0]?.indexOf(this.#outcomes.backend) ?? -1;
    if (column < 1) return [`no column ${this.#outcomes.backend}: npm run contract makes the page again`];
    return ROWS.filter((row) => {
      const cell = table.find((cells) => cells[1] === row)?.[column] ?? '';
      return !cell.startsWith(mark(this.#outcomes.rows[row]));
    });
  }

  /** Leaves them where they were asked for. */
  save(): void {
    const folder = process.env[OUTCOMES_VARIABLE];
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${this.#outcomes.backend}.json`), JSON.stringify(this.#outcomes));
  }
}
