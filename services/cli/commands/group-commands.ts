import type { Command } from 'commander';
import { addNatsCommand } from '../lib/options.ts';
import { applyConfig } from './apply.ts';
import { controlGroup } from './control.ts';
import { explainJob } from './explain.ts';
import { checkHealth } from './health.ts';

/** `baton health`, `pause`, `resume`, `drain`, `explain` and `apply`. */
export function addGroupCommands(program: Command): void {
  addNatsCommand(program, 'health', 'Check a group now: compare the forge, the backend and the workflows.')
    .argument('<group>', 'name of the group')
    .option('--json', 'print JSON')
    .action(async (group: string, options: unknown) => {
      process.exitCode = await checkHealth(group, options);
    });

  for (const [name, mode, description] of [
    ['pause', 'paused', 'Start no more runners for a group; its runners continue, and its jobs wait.'],
    ['resume', 'active', 'Let a paused or drained group start runners again.'],
  ] as const) {
    addNatsCommand(program, name, description)
      .argument('<group>', 'name of the group')
      .action(async (group: string, options: unknown) => {
        process.exitCode = await controlGroup(group, mode, options);
      });
  }
  addNatsCommand(program, 'drain', 'Start no more runners for a group, remove idle ones, and wait for busy ones.')
    .argument('<group>', 'name of the group')
    .option('--no-wait', 'do not wait until no runner is left')
    .action(async (group: string, options: unknown) => {
      process.exitCode = await controlGroup(group, 'draining', options);
    });

  addNatsCommand(program, 'explain', 'Show which group takes a job, or why none does.')
    .argument('[job]', 'id or address of the job; without it, the options describe a job')
    .option('--repository <owner/name>', 'repository of the job; with an id, it lets Baton ask the forge about the job')
    .option('--labels <list>', 'labels in `runs-on` of the job, separated by commas')
    .option('--workflow <name>', 'name of its workflow')
    .option('--public', 'the repository is public')
    .option('--json', 'print JSON')
    .action(async (job: string | undefined, options: unknown) => {
      process.exitCode = await explainJob(job, options);
    });

  addNatsCommand(program, 'apply', 'Make all services read the changed configuration, without losing a job.')
    .argument('[file]', 'the changed file, which is checked first')
    .action(async (file: string | undefined, options: unknown) => {
      process.exitCode = await applyConfig(file, options);
    });
}
