import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identify } from '../../activities/backends/local/process-identity.ts';

interface InstanceProcess {
  pid: number;
  /** Its instance's folder. */
  folder: string;
  isAgent: boolean;
}

/** The processes of the local backend's instances whose folders are somewhere in `dir`. */
function findProcesses(dir: string): InstanceProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      const mark = environment.find((variable) => variable.startsWith('BATON_INSTANCE='));
      const folder = mark?.slice('BATON_INSTANCE='.length) ?? '';
      if (!folder.startsWith(`${dir}/`)) return [];
      const [, program = ''] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return [{ pid: Number(name), folder, isAgent: program.endsWith('/agent.mjs') }];
    } catch {
      // Another user's, or ended meanwhile.
      return [];
    }
  });
}

/** `kill -9` of all that runs in that instance's folder; resolves when it is gone. */
export async function killInstanceIn(folder: string): Promise<void> {
  killInstances(dirname(folder), (process) => process.folder === folder);
  const left = (): boolean => findProcesses(dirname(folder)).some((process) => process.folder === folder);
  while (left()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** `kill -9` of the agent in that runner's instance, and of nothing else. */
export function killAgent(dir: string, runner: string): void {
  const agents = findProcesses(dir).filter(({ isAgent, folder }) => isAgent && folder.endsWith(`/${runner}`));
  if (agents.length === 0) throw new Error(`${runner} has no agent`);
  for (const { pid } of agents) process.kill(pid, 'SIGKILL');
}

/** Ends what a failed test left running. */
export function killInstances(dir: string, which: (process: InstanceProcess) => boolean = () => true): void {
  for (const { pid } of findProcesses(dir).filter(which)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Looks all the time whether an instance ever has two agents, be it one after the other, or there are more than allowed. */
export function watchForDuplicates(dir: string, most: number): { found: string[]; stop: () => void } {
  const found: string[] = [];
  const seen = new Map<string, Set<number>>();
  const look = (): void => {
    const agents = Map.groupBy(
      findProcesses(dir).filter(({ isAgent }) => isAgent),
      ({ folder }) => folder,
    );
    for (const [folder, processes] of agents) {
      const pids = processes.map(({ pid }) => pid);
      // An agent that is just starting a program is two processes of its name for a moment.
      const own = pids.filter((pid) => {
        const parent = identify(pid)?.parent;
        return parent !== undefined && !pids.includes(parent);
      });
      const known = seen.get(folder) ?? new Set();
      for (const pid of own) {
        if (known.size > 0 && !known.has(pid)) found.push(`${folder}: ${pid} besides ${[...known].join(', ')}`);
        known.add(pid);
      }
      seen.set(folder, known);
    }
    if (agents.size > most) found.push(`${agents.size} instances at once`);
  };
  const timer = setInterval(look, 100);
  return { found, stop: () => clearInterval(timer) };
}
