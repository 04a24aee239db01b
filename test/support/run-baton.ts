import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cluster } from './cluster.ts';

const CLI = fileURLToPath(new URL('../../services/cli/main.ts', import.meta.url));

export interface BatonRun {
  code: number;
  stdout: string;
  stderr: string;
}

/** Commands that only ask. */
const ASKING = new Set(['status', 'explain', 'cost', 'health']);

/**
 * Runs `baton ARGS` on a cluster as a process, with the NATS credential of that role. Also resolves when the command fails. A
 * question that a busy machine does not answer in the time that a person would wait is asked again.
 */
export async function runBaton(cluster: Cluster, role: 'admin' | 'observer', args: string[]): Promise<BatonRun> {
  for (let left = 5; ; left--) {
    const result = await runOnce(cluster, role, args);
    const unanswered = ASKING.has(args[0] ?? '') && result.stderr.includes('no answer within');
    if (!unanswered || left === 0) return result;
  }
}

async function runOnce(cluster: Cluster, role: 'admin' | 'observer', args: string[]): Promise<BatonRun> {
  const env = { PATH: process.env['PATH'], BATON_NATS_CREDENTIALS: cluster.operator.credentials[role] };
  return await new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [CLI, ...args, '--config', cluster.configFile],
      { env, cwd: cluster.dir },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ code, stdout, stderr });
        else reject(error ?? new Error('running baton: no exit code'));
      },
    );
  });
}
