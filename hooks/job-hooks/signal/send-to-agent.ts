import { connect } from 'node:net';
import type { HookReply } from '../../lib/hook-line.ts';

/** Writes one line of JSON to the agent's socket. Resolves with the answer; rejects if nothing listens there. */
export function sendToAgent(socket: string, line: object): Promise<HookReply> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = connect(socket, () => connection.write(`${JSON.stringify(line)}\n`));
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => (text += chunk));
    connection.once('error', reject);
    connection.once('close', () => {
      // Not parsed with a schema, to keep this program small: the answer only chooses a line of text.
      if (text.includes('"delivered"')) resolve({ state: 'delivered' });
      else if (text.includes('"queued"')) resolve({ state: 'queued' });
      else resolve({ state: 'refused', message: text.trim() || 'the agent did not answer' });
    });
  });
}
