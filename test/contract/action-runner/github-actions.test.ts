import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BootstrapFile } from '../../../contracts/messages/bootstrap-file.ts';
import { isRunning, JIT_CONFIG, startAgentWorld } from '../../support/agent.ts';
import { actionRunnerContract } from './suite.ts';

actionRunnerContract('github-actions', {
  short: async () => {
    const world = await startAgentWorld();
    const credentials = new Map<string, string>();
    const names: string[] = [];
    for (let i = 0; i < 8; i++) {
      const name = `m-g-${randomUUID().slice(0, 8)}`;
      names.push(name);
      credentials.set(name, await world.mint(name));
    }
    const pidFile = (name: string): string => join(world.folder, name, 'program.pid');
    /** A bootstrap file whose runner program is this script. */
    const bootstrap = (name: string, script: string): BootstrapFile => {
      world.answers.splice(0, world.answers.length, { ok: true, jitConfig: JIT_CONFIG });
      const directory = join(world.folder, name);
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'run.sh'), `#!/bin/sh\necho $$ > program.pid\n${script}\n`);
      chmodSync(join(directory, 'run.sh'), 0o700);
      return {
        version: 1,
        runner: name,
        natsUrl: world.nats.address,
        credentials: credentials.get(name) ?? '',
        program: { directory },
        expiresAt: new Date(Date.now() + 600_000).toISOString(),
        socket: join(directory, 's', 'agent.sock'),
      };
    };
    return {
      newName: () => names.pop() ?? '',
      succeeds: (name) => bootstrap(name, `echo "hello from ${name}"; exit 1`),
      // The program's exit code does not matter: the action fails if no program runs.
      fails: (name) => {
        const input = bootstrap(name, 'true');
        const no = {
          ok: false as const,
          code: 'REGISTRATION_REFUSED',
          message: 'its phase is removing',
          retryable: false,
        };
        world.answers.splice(0, world.answers.length, no);
        return { input, message: /its phase is removing/ };
      },
      lasts: (name) => bootstrap(name, `trap '' TERM; while :; do sleep 0.1; done`),
      unstartable: (name) => ({
        input: { ...bootstrap(name, ''), program: { directory: '/nonexistent' } },
        message: /starting \.\/run\.sh in \/nonexistent/,
      }),
      wrong: (name) => ({ input: { ...bootstrap(name, 'true'), expiresAt: 'tomorrow' }, field: 'expiresAt' }),
      left: async (name) => {
        try {
          return isRunning(pidFile(name)) ? ['the runner program'] : [];
        } catch {
          return [];
        }
      },
      stop: () => world.stop(),
    };
  },
});
