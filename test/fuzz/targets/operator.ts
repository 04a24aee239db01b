import { expect } from 'vitest';
import { examineConnections } from '../../../contracts/lib/examine-connections.ts';
import { parseConfig, parseRawConfig } from '../../../contracts/lib/load-config.ts';
import { parsePrivateKey } from '../../../contracts/lib/private-key.ts';
import { toHealthInput } from '../../../contracts/config/health-settings.ts';
import { showControlCharacters } from '../../../services/cli/lib/print.ts';
import type { FuzzTarget } from '../lib/target.ts';

/** What operators write, and what they see. */
export const operatorTargets: FuzzTarget[] = [
  {
    name: 'config',
    errors: ['CONFIG_INVALID'],
    run: (text) => {
      const config = parseConfig(text, 'baton.yaml');
      for (const group of config.groups) toHealthInput(config, group);
      examineConnections(config);
    },
  },
  { name: 'raw-config', errors: ['CONFIG_INVALID'], run: (text) => parseRawConfig(text, 'baton.yaml') },
  { name: 'private-key', run: (text) => parsePrivateKey(text) },
  {
    name: 'terminal',
    run: (text) => {
      // eslint-disable-next-line no-control-regex
      expect(showControlCharacters(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    },
  },
];
