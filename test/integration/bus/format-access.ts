import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Reach } from './attacker.ts';
import type { Target } from './targets.ts';

const INTRO = `# Who reaches what on NATS

Measured by \`npm run access\`, which writes this page: with each credential, a test tries to publish on every subject of the server's
own lists, to subscribe to it, and to have an answer delivered to it. The server's lists are its streams with their API, and the subjects
to which anybody subscribes. \`npm test\` fails where this page is not what it measures.

P: a message that it publishes arrives. S: it receives what is published there. R: it can't publish there, but can have an answer to
something else delivered there, as NATS checks the subject of a message and not its reply subject. An answer arrives inside the account
of the one who asked, and goes on only where that account's imports lead: to what the credential may publish anyway. Services have an
account each, so no R leaves a service; runners share one, in which answers can reach another runner's inbox, which ignores what it did not
ask for. Requests that ask for no reply to an inbox are refused and counted (\`baton_requests_refused_total\`).

\`own\` and \`other\` are the attacker's own runner and another one. Rows that nobody reaches are left out; their number is at the end.
The credential \`setup\`, which creates the streams, is used by \`baton setup nats\` alone and not listed.

`;

/** The page with the matrix. */
export async function formatAccess(targets: readonly Target[], reached: ReadonlyMap<string, Reach>): Promise<string> {
  const names = [...reached.keys()];
  const shown = targets.flatMap(({ subject }) =>
    subject.includes('RUNNER') ? [subject.replace('RUNNER', 'own'), subject.replace('RUNNER', 'other')] : [subject],
  );
  const rows = [...new Set(shown)].toSorted().map((subject) => {
    const cells = names.map((name) => formatCell(reached.get(name), subject));
    return { subject, cells };
  });
  const seen = rows.filter(({ cells }) => cells.some((cell) => cell !== ''));
  const table = [
    ['subject', ...names],
    ['---', ...names.map(() => '---')],
    ...seen.map(({ subject, cells }) => [`\`${subject}\``, ...cells]),
  ];
  const body = table.map((line) => `| ${line.join(' | ')} |`).join('\n');
  const hidden = rows.length - seen.length;
  const page = `${INTRO}${body}\n\n${hidden} more subjects were tried that no credential reaches.\n`;
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  return await format(page, { ...config, parser: 'markdown' });
}

function formatCell(reach: Reach | undefined, subject: string): string {
  if (reach === undefined) return '';
  const marks = [
    reach.publish.includes(subject) ? 'P' : '',
    reach.subscribe.includes(subject) ? 'S' : '',
    reach.reply.includes(subject) ? 'R' : '',
  ];
  return marks.join('');
}
