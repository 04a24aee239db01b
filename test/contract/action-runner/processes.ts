import { readdirSync, readFileSync } from 'node:fs';

/** Command lines of the processes that have this variable in their environment, without `baton` itself. */
export function processesWith(variable: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return environment.includes(variable) && !command.includes('action-runner') ? [command] : [];
    } catch {
      // The process has ended in the meantime.
      return [];
    }
  });
}
