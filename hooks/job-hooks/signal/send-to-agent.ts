import { connect } from 'node:net';
import type { HookReply } from '../../lib/hook-line.ts';

/** Writes one line of JSON to the agent's socket; resolves with its answer, rejects where nobody is there. */
export function sendToAgent(socket: string, line: object): Promise<HookReply> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = connect(socket, () => connection.write(`${JSON.stringify(line)}\n`));
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => (text += chunk));
    connection.once('error', reject);
    connection.once('close', () => {
      // The agent is of the same bundle as this file, and what it says decides over nothing but a line of text.
      if (text.includes('"delivered"')) resolve({ state: 'delivered' });
      else if (text.includes('"queued"')) resolve({ state: 'queued' });
      else resolve({ state: 'refused', message: text.trim() || 'the agent gave no answer' });
    });
  });
}
