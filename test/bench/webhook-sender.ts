import { Poster } from '../../services/simulator/webhooks/post.ts';
import type { SendOrder, SendReport } from './sender-process.ts';

/** A program: sends the webhooks that its parent orders, and reports how long each took. */
const poster = new Poster();
process.on('message', ({ id, url, headers, body, timeoutMs }: SendOrder) => {
  void poster.post(url, headers, body, timeoutMs).then((result) => process.send?.({ id, result } satisfies SendReport));
});
process.on('disconnect', () => process.exit(0));
