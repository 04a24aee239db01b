/** A Markdown table. Cells may hold Markdown; what would end a cell is escaped. */
export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Text as code, such as a key or a flag. */
export function code(text: string): string {
  return `\`${text}\``;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll(/\s*\n\s*/g, ' ');
}

/** The comment under a generated page's title: not to be edited by hand. */
export function generatedFrom(...sources: readonly string[]): string {
  return `<!-- Made by \`npm run docs\` from ${sources.join(', ')}: change it there. -->`;
}
