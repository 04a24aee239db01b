import { readFileSync } from 'node:fs';
import type { Cluster } from './cluster.ts';

/** The process id of a cluster's program: of the program itself, not of the guard that ends it with this process. */
export function findProgramPid(cluster: Cluster, name: string): number {
  const child = name === 'nats' || name === 'temporal' ? cluster[name].child : cluster.services.get(name);
  const guard = child?.pid ?? 0;
  const children = readFileSync(`/proc/${guard}/task/${guard}/children`, 'utf8').trim().split(' ').map(Number);
  const program = children.find((pid) => !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('guard.sh'));
  if (program === undefined) throw new Error(`${name} does not run`);
  return program;
}
