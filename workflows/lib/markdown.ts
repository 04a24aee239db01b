/** What the details of all actors share: Temporal's UI shows them as markdown, `temporal workflow metadata` as they are. */

/** Names and what belongs to them, as a table. Both are markdown. The colon, as the UI leaves hardly any room between columns. */
export function factTable(rows: readonly (readonly [name: string, value: string])[]): string[] {
  return table(rows.map(([name, value]) => [`**${name}:**`, value]));
}

/** A table without headings; cells are markdown. */
export function table(rows: readonly (readonly [string, string])[]): string[] {
  return ['| | |', '|:--|:--|', ...rows.map((cells) => `| ${cells.join(' | ')} |`)];
}

/** Text from outside as one line without markup of its own, at most 300 characters of it. */
export function plain(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300)
    .replaceAll(/[|\\`*_~[\]<>&$]/g, String.raw`\$&`);
}

/** `2026-11-21 07:52:48 UTC` */
export function clock(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A link to a workflow in the UI, relative to where the UI shows details; it fills in the namespace. */
export function workflowLink(text: string, workflowId: string): string {
  return `[${plain(text)}](namespaces/{namespace}/workflows/${encodeURIComponent(workflowId)})`;
}

/** The UI makes its frame some 30 pixels too low, and so cuts off the end: an invisible last paragraph is what it cuts. */
export const LAST_LINES = ['', '\u00A0'] as const;
