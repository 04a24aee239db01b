import type { Config } from '../../contracts/config/config.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import type { NewestConfig } from '../shared/newest-config/newest-config.ts';
import { PermanentFailure, RetryLater } from './message-errors.ts';

/** What may be right with a newer configuration. */
const DEPENDS_ON_CONFIG: ReadonlySet<string> = new Set(['NO_GROUP', 'DELEGATION_FORBIDDEN']);

/**
 * Handles a message by the newest configuration: only that may say that no group serves a job, or that a proxy may not delegate. A
 * relay that can't know it returns the message to the stream, for another relay.
 *
 * @param handle is called again where the configuration has changed meanwhile
 * @throws RetryLater; what `handle` throws
 */
export async function routeByNewest<T>(
  { live, newest }: { live: LiveConfig; newest: Pick<NewestConfig, 'isKnown' | 'read'> },
  handle: (config: Config) => Promise<T>,
): Promise<T> {
  if (!newest.isKnown) await newest.read();
  if (!newest.isKnown) throw new RetryLater(undefined, 'the newest configuration is not known yet');
  const known = live.current;
  try {
    return await handle(known);
  } catch (error) {
    if (!(error instanceof PermanentFailure) || !DEPENDS_ON_CONFIG.has(error.code)) throw error;
    const current = await newest.read();
    if (current === undefined) {
      throw new RetryLater(error, `the newest configuration is not known, and may allow it: ${error.message}`);
    }
    if (current === known) throw error;
    return await handle(current);
  }
}
