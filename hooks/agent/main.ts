import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import { runAgent } from './agent.ts';

/** Set by the bundler. */
declare const BATON_AGENT_VERSION: string;

const log = createLogger('agent');

/** The program that start.sh starts: the agent, with the bootstrap file that the backend wrote. */
async function main(): Promise<number> {
  const file = process.env[AGENT_ENV.bootstrap];
  if (!file) throw new BatonError('CONFIG_UNREADABLE', `${AGENT_ENV.bootstrap} names no bootstrap file`);
  return await runAgent({ bootstrap: file, version: BATON_AGENT_VERSION, scripts: import.meta.dirname, log });
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    log.fatal({ code: error instanceof BatonError ? error.code : undefined }, getErrorMessage(error));
    process.exit(1);
  },
);
