import { showControlCharacters } from './print.ts';

/** Rows as columns of equal width, two spaces apart; the first row is the heading. Longer cells are cut to `maxLength`. */
export function formatTable(rows: readonly (readonly string[])[], maxLength = 48): string {
  const cut = rows.map((row) =>
    row
      .map((cell) => showControlCharacters(cell.replaceAll(/[\t\n]/g, ' ')))
      .map((cell) => (cell.length > maxLength ? `${cell.slice(0, maxLength - 1)}…` : cell)),
  );
  const widths = (cut[0] ?? []).map((_cell, column) => Math.max(...cut.map((row) => row[column]?.length ?? 0)));
  return cut
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
