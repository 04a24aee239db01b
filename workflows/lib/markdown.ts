/** Shared by the details of all workflows: Temporal's UI shows them as markdown, `temporal workflow metadata` as plain text. */

/** Names and values as a table; both are markdown. The colon is there because the UI leaves hardly any room between columns. */
export function renderFactTable(rows: readonly (readonly [name: string, value: string])[]): string[] {
  return renderTable(rows.map(([name, value]) => [`**${name}:**`, value]));
}

/** A table without headings. Cells are markdown. */
export function renderTable(rows: readonly (readonly [string, string])[]): string[] {
  return ['| | |', '|:--|:--|', ...rows.map((cells) => `| ${cells.join(' | ')} |`)];
}

/** Text from outside as one line, at most 300 characters of it, with its markup escaped. */
export function escapeMarkdown(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300)
    .replaceAll(/[|\\`*_~[\]<>&$]/g, String.raw`\$&`);
}

/** `2026-11-21 07:52:48 UTC` */
export function formatTime(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A link to a workflow in the UI, relative to the page that shows the details; the UI fills in the namespace. */
export function renderWorkflowLink(text: string, workflowId: string): string {
  return `[${escapeMarkdown(text)}](namespaces/{namespace}/workflows/${encodeURIComponent(workflowId)})`;
}

/** The UI's frame is about 30 pixels too low and cuts off the end: so the last paragraph is an invisible one. */
export const LAST_LINES = ['', '\u00A0'] as const;
