import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identify } from '../../activities/backends/local/identify.ts';

export interface InstanceProcess {
  pid: number;
  /** The folder of its instance. */
  folder: string;
  isAgent: boolean;
}

/** The processes of the local backend's instances whose folders are anywhere below `dir`. */
export function listInstanceProcesses(dir: string): InstanceProcess[] {
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
      // The process belongs to another user, or has ended.
      return [];
    }
  });
}

/** Kills (SIGKILL) all processes of the instance in this folder. Resolves when they are gone. */
export function killInstanceIn(folder: string): Promise<void> {
  return killInstances(dirname(folder), (process) => process.folder === folder);
}

/** Kills (SIGKILL) only the agent in the runner's instance. */
export function killAgent(dir: string, runner: string): void {
  const agents = listInstanceProcesses(dir).filter(({ isAgent, folder }) => isAgent && folder.endsWith(`/${runner}`));
  if (agents.length === 0) throw new Error(`no agent of runner ${runner} is running`);
  for (const { pid } of agents) kill(pid);
}

/**
 * Kills (SIGKILL) all processes of the instances that exist now, for example those that a failed test left running. Resolves
 * when they are gone.
 */
export async function killInstances(
  dir: string,
  which: (process: InstanceProcess) => boolean = () => true,
): Promise<void> {
  const chosen = listInstanceProcesses(dir).filter(which);
  const folders = new Set(chosen.map(({ folder }) => folder));
  const list = (): InstanceProcess[] => listInstanceProcesses(dir).filter(({ folder }) => folders.has(folder));
  // Again until nothing is left: a process may start another one after the list was read.
  for (let found = chosen; found.length > 0; found = list()) {
    for (const { pid } of found) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already ended.
  }
}

/** Finds instances that have a second agent, even after their first one has ended. */
export class SecondAgents {
  readonly #seen = new Map<string, Set<number>>();

  /** @returns the instances' folders with a second agent that it did not have before */
  look(processes: readonly InstanceProcess[]): { folder: string; text: string }[] {
    const agents = Map.groupBy(
      processes.filter(({ isAgent }) => isAgent),
      ({ folder }) => folder,
    );
    return [...agents].flatMap(([folder, found]) => {
      const pids = found.map(({ pid }) => pid);
      // While an agent starts a program, there are two processes of its name for a moment.
      const own = pids.filter((pid) => {
        const parent = identify(pid)?.parent;
        return parent !== undefined && !pids.includes(parent);
      });
      const known = this.#seen.get(folder) ?? new Set();
      this.#seen.set(folder, known);
      return own.flatMap((pid) => {
        if (known.has(pid)) return [];
        const first = [...known].join(', ');
        known.add(pid);
        return first === '' ? [] : [{ folder, text: `${folder}: ${pid} besides ${first}` }];
      });
    });
  }
}

/**
 * Checks continuously whether an instance ever had two agents, even one after the other, or more than `most` instances
 * ran.
 */
export function watchForDuplicates(dir: string, most: number): { found: string[]; stop: () => void } {
  const found: string[] = [];
  const agents = new SecondAgents();
  const timer = setInterval(() => {
    const processes = listInstanceProcesses(dir);
    found.push(...agents.look(processes).map(({ text }) => text));
    const running = new Set(processes.flatMap(({ folder, isAgent }) => (isAgent ? [folder] : []))).size;
    if (running > most) found.push(`${running} instances at once`);
  }, 100);
  return { found, stop: () => clearInterval(timer) };
}
