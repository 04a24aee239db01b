import { Command, Option } from 'commander';
import { createConfigSchema } from '../../contracts/config/schema.ts';
import { COST_KEYS } from '../../contracts/messages/usage.ts';
import packageFile from '../../package.json' with { type: 'json' };
import { REPORTERS, runActionRunner } from './commands/action-runner.ts';
import { checkConfig } from './commands/config-check.ts';
import { addDelegationCommands } from './commands/delegation-commands.ts';
import { showCost } from './commands/cost.ts';
import { checkHealth } from './commands/health.ts';
import { addGroupCommands } from './commands/group-commands.ts';
import { runServiceMain } from './commands/run-service.ts';
import { parseStartOptions } from './start/options.ts';
import { start } from './start/start.ts';
import { showStatus } from './commands/status.ts';

/** The command `baton`, with everything it offers; building it runs nothing. */
export function createProgram(): Command {
  const program = new Command('baton')
    .description('Self-hosted CI runners as durable actors.')
    .version(packageFile.version)
    .showHelpAfterError('(baton --help tells what there is)')
    .configureHelp({ sortSubcommands: false });

  program
    .command('start')
    .description('Start everything on this machine: Temporal, NATS and all services; without --config, a demo.')
    .option('--config <file>', 'your configuration, instead of the demo')
    .option('--once', 'end after the demo’s jobs and check that nothing is left')
    .addOption(
      new Option(
        '--backend <type>',
        'what the demo’s runners live in (default: docker where an engine answers)',
      ).choices(['docker', 'local']),
    )
    .option('--copies <n>', 'how many of each service', '1')
    .option('--port-ingress <n>', 'port of the (first) ingress (default: a free one)')
    .option('--port-temporal-ui <n>', 'port of Temporal’s Web UI (default: a free one)')
    .action(async (options: unknown) => {
      // Something may still be under way that nobody waits for any more: a server being built.
      process.exit(await start(parseStartOptions(options)));
    });

  const config = program.command('config').description('Look at a configuration.');
  config
    .command('check')
    .description('Check a configuration file; says what is wrong with file, line and column.')
    .argument('[file]', 'the file', 'baton.yaml')
    .action((file: string) => {
      process.exitCode = checkConfig(file);
    });
  config
    .command('schema')
    .description('Print the configuration’s JSON Schema, for editors.')
    .action(() => {
      console.log(JSON.stringify(createConfigSchema(), null, 2));
    });

  program
    .command('status')
    .description('Show groups and runners.')
    .option('--config <file>', 'configuration that names NATS (default: what `baton start` runs here, else baton.yaml)')
    .option('--credentials <file>', 'NATS credentials (default: what `baton start` made, else BATON_NATS_CREDENTIALS)')
    .option('--json', 'as JSON')
    .action(async (options: unknown) => {
      process.exitCode = await showStatus(options);
    });

  program
    .command('action-runner')
    .description('Execute one action, as the RUNNER_* variables say (deploy/docs/guides/action-runners.md).')
    .argument('<name>', 'github-actions, container, shell, wrapper, temporal, or a file with one of your own')
    .addOption(
      new Option('--reporter <name>', 'who is told how the action does (default: what the environment has)').choices([
        ...REPORTERS,
      ]),
    )
    .action(async (name: string, { reporter }: { reporter?: string }) => {
      process.exit(await runActionRunner(name, { reporter }));
    });

  program
    .command('health')
    .description('Check a group’s health now: forge, backend and workflows compared; prints the result.')
    .argument('<group>', 'its name')
    .option('--config <file>', 'configuration that names NATS (default: what `baton start` runs here, else baton.yaml)')
    .option('--credentials <file>', 'NATS credentials (default: what `baton start` made, else BATON_NATS_CREDENTIALS)')
    .option('--json', 'as JSON')
    .action(async (group: string, options: unknown) => {
      process.exitCode = await checkHealth(group, options);
    });
  addGroupCommands(program);

  addDelegationCommands(program);
  program
    .command('cost')
    .description('Show what instances that have ended were used for and what they cost.')
    .option('--since <duration>', 'how far back, such as 12h or 7d (default: 30d)')
    .addOption(new Option('--by <key>', 'a line for each (default: group)').choices([...COST_KEYS]))
    .option('--config <file>', 'configuration that names NATS (default: what `baton start` runs here, else baton.yaml)')
    .option('--credentials <file>', 'NATS credentials (default: what `baton start` made, else BATON_NATS_CREDENTIALS)')
    .option('--json', 'as JSON')
    .action(async (options: unknown) => {
      process.exitCode = await showCost(options);
    });

  for (const [name, what] of [
    ['ingress', 'HTTP: takes webhooks, shows the status page'],
    ['relay', 'NATS to Temporal'],
    ['orchestrator', 'worker: workflows and the forge'],
    ['backend <name>', 'worker: one backend’s instances'],
  ] as const) {
    program
      .command(name)
      .description(`Run this service (${what}).`)
      .option('--config <file>', 'configuration (default: BATON_CONFIG, else baton.yaml)')
      .option('--host <address>', 'where its HTTP server listens (default: 127.0.0.1)')
      .option('--port <n>', 'its port (default: a free one)')
      .action(() => runServiceMain(name.split(' ')[0] ?? name));
  }
  return program;
}
