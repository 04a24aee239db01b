import { execFileSync } from 'node:child_process';
import { requireDocker } from '../wrappers/docker-action.ts';

/** What is pruned, in this order: each kind can make objects of the next kind unused. */
const KINDS = ['container', 'network', 'volume', 'image'] as const;

/**
 * Removes what no running container uses from this instance's Docker engine: stopped containers, networks, unnamed
 * volumes and dangling images; with the input `all: true` also named volumes and every unused image. The input `filter`
 * limits it, as `docker … prune --filter` does.
 *
 * @throws BatonError WRAPPER_FAILED without a docker CLI or engine; Error if a prune fails
 */
export async function dockerPrune(env: Record<string, string>): Promise<void> {
  const docker = await requireDocker('docker-prune', env);
  const filter = env['INPUT_FILTER'] ?? '';
  const all = env['INPUT_ALL'] === 'true';
  for (const kind of KINDS) {
    const args = [kind, 'prune', '--force', ...(filter === '' ? [] : ['--filter', filter])];
    if (all && (kind === 'volume' || kind === 'image')) args.push('--all');
    console.log(`docker ${args.join(' ')}`);
    execFileSync(docker, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  }
}
