/** One combination of a matrix. */
export type MatrixRow = Record<string, unknown>;

const isRow = (value: unknown): value is MatrixRow => typeof value === 'object' && value !== null;
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * The combinations of a `strategy.matrix`, with `include` and `exclude` as on GitHub: an include extends the combinations whose
 * values it doesn't overwrite; where there is none, it is a combination of its own. Without a matrix: one empty row.
 */
export function expandMatrix(matrix: Record<string, unknown> | undefined): MatrixRow[] {
  if (!matrix) return [{}];
  const axes = Object.entries(matrix).filter(([key]) => key !== 'include' && key !== 'exclude');
  const excluded = toRows(matrix['exclude']);
  let combinations: MatrixRow[] = axes.length > 0 ? [{}] : [];
  for (const [key, values] of axes) {
    const list: unknown[] = Array.isArray(values) ? values : [values];
    combinations = combinations.flatMap((row) => list.map((value) => ({ ...row, [key]: value })));
  }
  combinations = combinations.filter(
    (row) => !excluded.some((exclude) => Object.entries(exclude).every(([key, value]) => isSame(row[key], value))),
  );
  const names = new Set(axes.map(([key]) => key));
  const added: MatrixRow[] = [];
  for (const include of toRows(matrix['include'])) {
    const fixed = Object.entries(include).filter(([key]) => names.has(key));
    const fitting = combinations.filter((row) => fixed.every(([key, value]) => isSame(row[key], value)));
    if (fitting.length === 0) added.push(include);
    for (const row of fitting) Object.assign(row, include);
  }
  const all = [...combinations, ...added];
  return all.length > 0 ? all : [{}];
}

function toRows(value: unknown): MatrixRow[] {
  return Array.isArray(value) ? value.filter(isRow) : [];
}
