/**
 * GitHub's workflow commands, the lines by which a step speaks to the forge's runner: `::notice title=T::message`.
 * Source: actions/toolkit, packages/core/src/command.ts, for what is escaped and how.
 */

/** Escapes a text that is the message of a workflow command: a line break would end it, and start another command. */
export function escapeMessage(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** Escapes a text that is a property of a workflow command, such as its title. */
export function escapeProperty(text: string): string {
  return escapeMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

export function unescapeMessage(text: string): string {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}

export function unescapeProperty(text: string): string {
  return unescapeMessage(text.replaceAll('%3A', ':').replaceAll('%2C', ','));
}

/** The workflow command that adds an annotation to the job. */
export function toAnnotation(level: 'notice' | 'warning' | 'error', message: string, title?: string): string {
  const properties = title === undefined ? '' : ` title=${escapeProperty(title)}`;
  return `::${level}${properties}::${escapeMessage(message)}`;
}
