import { hostname } from 'node:os';
import { subjects } from '../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { applyRequest, type ApplyReply, type ApplyRequest } from '../../contracts/messages/apply.ts';
import type { NatsLink } from './nats-link.ts';
import type { LiveConfig } from './live-config.ts';
import { serveRequests, type RequestHandler, type RequestServer } from './request-server.ts';

/**
 * Answers `baton apply` in this process: reads the configuration file again and replies with the result. Begins when NATS can be
 * used first, and ends when `link` is closed.
 */
export function answerApplyRequests(
  service: string,
  live: LiveConfig,
  link: NatsLink,
  { log, refused }: Pick<RequestServer, 'log' | 'refused'>,
): void {
  const handler = createApplyHandler(service, live, log);
  let subscribed = false;
  link.onUp((bus) => {
    // After an interruption the NATS client subscribes again by itself.
    if (subscribed) return;
    subscribed = true;
    void serveRequests({ bus, log, refused }, handler);
  });
}

/** No queue group: every relay and orchestrator reads its own file and replies. */
function createApplyHandler(service: string, live: LiveConfig, log: Logger): RequestHandler<ApplyRequest> {
  return {
    name: 'apply request',
    subject: subjects.apply(service),
    schema: applyRequest,
    sequential: true,
    handle: async ({ hash: applied }): Promise<ApplyReply> => {
      const sender = { version: 1 as const, service, process: `${hostname()}:${process.pid}`, file: live.file };
      try {
        const result = await live.reload((hash) => hash === applied);
        log.info(result, 'configuration read again');
        return { ...sender, result, problem: null };
      } catch (error) {
        log.error({ err: error }, `configuration not changed: ${getErrorMessage(error)}`);
        return { ...sender, result: null, problem: getErrorMessage(error) };
      }
    },
  };
}
