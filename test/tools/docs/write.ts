import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { configSchema } from '../../../contracts/config/schema.ts';
import { ERRORS } from '../../../contracts/errors.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { REMOVAL_REASONS } from '../../../contracts/workflows/phase.ts';

/** The pages of which parts are made from the code: `npm run docs` writes them, a test compares them. */
export const PAGES: Record<string, () => Promise<string>> = {
  'reference/errors.md': () => formatted(errorsPage(), 'markdown'),
  'reference/baton.schema.json': () => formatted(JSON.stringify(configSchema()), 'json'),
};

/** The page of all errors, from the registry. */
function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { retryable, help }]) =>
      `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${help.replaceAll('|', String.raw`\|`)} |`,
  );
  const reasons = Object.entries(REMOVAL_REASONS).map(([reason, text]) => `| \`${reason}\` | ${text} |`);
  const streams = Object.values(STREAMS).map(
    ({ name, subjects, retention }) =>
      `| \`${name}\` | ${subjects.map((subject) => `\`${subject}\``).join(' ')} | ${retention} |`,
  );
  return `# Errors

<!-- Made by \`npm run docs\` from contracts/errors.ts, contracts/workflows/phase.ts and contracts/messages/streams.ts. -->

Every error has a code, says what was being done to what, and is classed where it arises: what is tried again is tried again
by itself. The code is the \`code\` of HTTP answers and log lines, the failure type in Temporal's UI, and the
\`Baton-Reason-Code\` of dead letters.

| Code | Tried again | What to do |
| --- | --- | --- |
${rows.join('\n')}

## Why a runner was removed

The result of its workflow; a runner that failed has it as failure type.

| Reason | Meaning |
| --- | --- |
${reasons.join('\n')}

## Where messages are kept

| Stream | Subjects | Retention |
| --- | --- | --- |
${streams.join('\n')}
`;
}

async function formatted(text: string, parser: 'markdown' | 'json'): Promise<string> {
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  return await format(text, { ...config, parser });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [page, make] of Object.entries(PAGES)) {
    const file = new URL(`../../../deploy/docs/${page}`, import.meta.url);
    const text = await make();
    let before = '';
    try {
      before = readFileSync(file, 'utf8');
    } catch {
      // Not there yet.
    }
    if (before !== text) writeFileSync(file, text);
    console.log(`${page}: ${before === text ? 'up to date' : 'written'}`);
  }
}
