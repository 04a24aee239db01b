import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AGENT_ENV } from '../../contracts/messages/agent-env.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import { listenForHooks } from '../../hooks/agent/hook-socket.ts';
import { bundleAgent } from '../../services/backend/agent-bundle.ts';
import { temporaryFolder } from '../support/cleanup.ts';

const run = promisify(execFile);

/** Target on 2 cores, milliseconds. */
export const HOOK_TARGET_MS = 150;

export interface HookStart {
  /** From the start of the hook's shell until the agent has received its signal, milliseconds. */
  p50: number;
  p99: number;
  /** Size of all files that are copied into an instance, bytes. */
  bundle: number;
}

/** Starts the hook `times` times as the forge's runner does (`bash -e job-started.sh`), with the agent's own socket. */
export async function measureHookStart(times: number): Promise<HookStart> {
  const { path, remove } = temporaryFolder('hook-bench');
  const { files } = await bundleAgent();
  const agent = join(path, 'agent');
  mkdirSync(agent);
  for (const file of files) writeFileSync(join(agent, file.name), file.content, { mode: 0o700 });
  let arrived = 0;
  const socket = join(path, 'agent.sock');
  const server = await listenForHooks({
    socket,
    runner: 'bench',
    log: createLogger('bench', 'silent'),
    send: () => {
      arrived = performance.now();
      return Promise.resolve('delivered');
    },
  });
  const env = { PATH: process.env['PATH'], [AGENT_ENV.socket]: socket, [AGENT_ENV.node]: process.execPath };
  const took: number[] = [];
  try {
    for (let index = 0; index < times + 3; index++) {
      const begun = performance.now();
      await run('bash', ['-e', join(agent, 'job-started.sh')], { env });
      // The first few starts fill the system's file cache.
      if (index >= 3) took.push(arrived - begun);
    }
  } finally {
    server.close();
    remove();
  }
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), bundle: files.reduce((sum, { content }) => sum + content.length, 0) };
}
