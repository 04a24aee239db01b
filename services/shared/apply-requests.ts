import { hostname } from 'node:os';
import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { ApplyReply } from '../../contracts/messages/apply.ts';
import type { NatsLink } from './nats-link.ts';
import type { LiveConfig } from './live-config.ts';

/** Reads the configuration again whenever `baton apply` asks for it, and answers what became of it. */
export function answerApplyRequests(service: string, live: LiveConfig, link: NatsLink, log: Logger): void {
  let open = false;
  link.onUp((bus) => {
    // The client subscribes again by itself after each interruption.
    if (open) return;
    open = true;
    void answer(bus);
  });

  async function answer(bus: Bus): Promise<void> {
    for await (const message of bus.subscribe(subjects.apply)) {
      const about = { version: 1 as const, service, process: `${hostname()}:${process.pid}`, file: live.file };
      let reply: ApplyReply;
      try {
        const result = await live.reload();
        log.info(result, 'configuration read again');
        reply = { ...about, result, problem: null };
      } catch (error) {
        log.error({ err: error }, `the configuration stays as it was: ${messageOf(error)}`);
        reply = { ...about, result: null, problem: messageOf(error) };
      }
      if (message.reply) message.respond(encode(reply));
    }
  }
}
