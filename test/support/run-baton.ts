import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cluster } from './cluster.ts';

const CLI = fileURLToPath(new URL('../../services/cli/main.ts', import.meta.url));

export interface BatonRun {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `baton ARGS` on a cluster as a process, with the NATS credential of that role. Also resolves when the command fails. */
export async function runBaton(cluster: Cluster, role: 'admin' | 'observer', args: string[]): Promise<BatonRun> {
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
