import { afterAll, describe, expect, it } from 'vitest';
import type { Config } from '../../../../contracts/config/config.ts';
import type { ErrorCode } from '../../../../contracts/errors.ts';
import { PermanentFailure, RetryLater } from '../../../../services/relay/message-errors.ts';
import { routeByNewest } from '../../../../services/relay/newest-routing.ts';
import { LiveConfig } from '../../../../services/shared/live-config.ts';
import { aConfigFile } from '../../../support/a-config-file.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';

const folder = temporaryFolder('newest-routing');
afterAll(() => folder.remove());

const NEWER = {
  backends: { here: { type: 'local' } },
  groups: [{ name: 'fresh', organization: 'acme', labels: ['fresh'], backend: 'here' }],
};

/** A relay whose file lacks the group `fresh`, and what it reads when it asks for the newest configuration. */
function startRelay(read: (live: LiveConfig) => Config | undefined, isKnown = true) {
  const live = new LiveConfig(folder.write('baton.yaml', aConfigFile()));
  return { live, newest: { isKnown, read: () => Promise.resolve(read(live)) } };
}

/** Handles a job of `fresh`. */
const handle = (config: Config): Promise<string> => {
  if (config.groups.some(({ name }) => name === 'fresh')) return Promise.resolve('delivered');
  return Promise.reject(new PermanentFailure('NO_GROUP', 'no group serves the job'));
};

const readNewer = (live: LiveConfig): Config => {
  live.use({ hash: 'newer', version: null, content: NEWER });
  return live.current;
};

describe('a relay with an older configuration file', () => {
  it('delivers a job of a group that only the newest configuration has', async () => {
    expect(await routeByNewest(startRelay(readNewer), handle)).toBe('delivered');
  });

  it('makes a job a dead letter where the newest configuration has no group for it either', async () => {
    const relay = startRelay((live) => live.current);
    await expect(routeByNewest(relay, handle)).rejects.toMatchObject({ code: 'NO_GROUP' });
  });

  it.each(['NO_GROUP', 'DELEGATION_FORBIDDEN'] satisfies ErrorCode[])(
    'returns a message to the stream instead of %s while the newest configuration is not known',
    async (code) => {
      const relay = startRelay(() => undefined);
      const refuse = (): Promise<string> => Promise.reject(new PermanentFailure(code, 'refused'));
      await expect(routeByNewest(relay, refuse)).rejects.toThrow(RetryLater);
    },
  );

  it('makes a message that no configuration could help a dead letter without asking', async () => {
    const relay = startRelay(() => {
      throw new Error('asked');
    });
    const refuse = (): Promise<string> => Promise.reject(new PermanentFailure('MESSAGE_INVALID', 'not JSON'));
    await expect(routeByNewest(relay, refuse)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });

  it('handles nothing before it has compared its file for the first time', async () => {
    const relay = startRelay(() => undefined, false);
    await expect(routeByNewest(relay, () => Promise.resolve('delivered'))).rejects.toThrow(RetryLater);
  });
});
