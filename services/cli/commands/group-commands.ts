import type { Command } from 'commander';
import { applyConfig } from './apply.ts';
import { controlGroup } from './control.ts';
import { explainJob } from './explain.ts';

/** `baton pause`, `resume`, `drain`, `explain`, `apply`: what a person asks and tells running services. */
export function addGroupCommands(program: Command): void {
  const asks = (name: string, what: string): Command =>
    program
      .command(name)
      .description(what)
      .option(
        '--config <file>',
        'configuration that names NATS (default: what `baton start` runs here, else baton.yaml)',
      )
      .option(
        '--credentials <file>',
        'NATS credentials (default: what `baton start` made, else BATON_NATS_CREDENTIALS)',
      );

  for (const [name, mode, what] of [
    ['pause', 'paused', 'Let a group start no runners; those that are there go on, and jobs wait.'],
    ['resume', 'active', 'Let a paused or drained group go on.'],
  ] as const) {
    asks(name, what)
      .argument('<group>', 'its name')
      .action(async (group: string, options: unknown) => {
        process.exitCode = await controlGroup(group, mode, options);
      });
  }
  asks('drain', 'Let a group start no runners, retire its idle ones, and wait for the busy ones.')
    .argument('<group>', 'its name')
    .option('--no-wait', 'do not wait until no runner is left')
    .action(async (group: string, options: unknown) => {
      process.exitCode = await controlGroup(group, 'draining', options);
    });
  asks('explain', 'Say which group takes a job, or why none does.')
    .argument('[job]', 'its id or its address; or the options tell what it would ask for')
    .option('--repository <owner/name>', 'the job’s repository: with an id, the forge can be asked about the job')
    .option('--labels <list>', 'what a job would ask for, separated by commas')
    .option('--workflow <name>', 'the name of its workflow')
    .option('--public', 'its repository is public')
    .option('--json', 'as JSON')
    .action(async (job: string | undefined, options: unknown) => {
      process.exitCode = await explainJob(job, options);
    });
  asks('apply', 'Have all services take up a changed configuration, without losing a job.')
    .argument('[file]', 'the changed file; it is checked first')
    .action(async (file: string | undefined, options: unknown) => {
      process.exitCode = await applyConfig(file, options);
    });
}
