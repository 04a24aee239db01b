import { Command, Option } from 'commander';
import { createConfigSchema } from '../../contracts/config/schema.ts';
import { COST_KEYS } from '../../contracts/messages/usage.ts';
import packageFile from '../../package.json' with { type: 'json' };
import { checkConfig } from './commands/config-check.ts';
import { showCost } from './commands/cost.ts';
import { addDelegationCommands } from './commands/delegation-commands.ts';
import { addGroupCommands } from './commands/group-commands.ts';
import { addServiceCommands } from './commands/service-commands.ts';
import { addSetupCommands } from './commands/setup.ts';
import { showStatus } from './commands/status.ts';
import { addNatsCommand } from './lib/options.ts';
import { USAGE_HELP } from './lib/print-error.ts';
import { parseStartOptions } from './start/options.ts';
import { start } from './start/start.ts';
import { print, showControlCharacters } from './lib/print.ts';

/** The command `baton` with all its commands; building it runs nothing. */
export function createProgram(): Command {
  const program = new Command('baton')
    .description('Self-hosted CI runners as durable actors.')
    .version(packageFile.version)
    .showHelpAfterError(USAGE_HELP)
    .configureHelp({ sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => process.stdout.write(showControlCharacters(text)),
      writeErr: (text) => process.stderr.write(showControlCharacters(text)),
    });

  addStartCommand(program);
  addConfigCommands(program);
  addNatsCommand(program, 'status', 'Show groups, runners, and dead letters.')
    .option('--json', 'print JSON')
    .action(async (options: unknown) => {
      process.exitCode = await showStatus(options);
    });
  addGroupCommands(program);
  addNatsCommand(program, 'cost', 'Show how long finished instances ran and what they cost.')
    .option('--since <duration>', 'how far back, such as 12h or 7d (default: 30d)')
    .addOption(new Option('--by <key>', 'one line per group, repository, … (default: group)').choices([...COST_KEYS]))
    .option('--json', 'print JSON')
    .action(async (options: unknown) => {
      process.exitCode = await showCost(options);
    });
  addDelegationCommands(program);
  addSetupCommands(program);
  addServiceCommands(program);
  return program;
}

function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('Start Temporal, NATS and all services on this machine; without --config, run a demo.')
    .option('--config <file>', 'your configuration, instead of the demo')
    .option('--once', 'stop after the jobs of the demo, and check that nothing is left')
    .addOption(
      new Option('--backend <type>', 'backend of the demo (default: docker if an engine answers)').choices([
        'docker',
        'local',
      ]),
    )
    .option('--copies <n>', 'number of processes per service', '1')
    .option('--port-ingress <n>', 'port of the (first) ingress (default: a free one)')
    .option('--port-status <n>', 'port of its status page (default: a free one)')
    .option('--port-temporal-ui <n>', 'port of Temporal’s Web UI (default: a free one)')
    .action(async (options: unknown) => {
      // A step that is no longer needed may still run, such as the build of a server.
      process.exit(await start(parseStartOptions(options)));
    });
}

function addConfigCommands(program: Command): void {
  const config = program.command('config').description('Check a configuration, or print its schema.');
  config
    .command('check')
    .description('Check a configuration file, and print each problem with its line and column.')
    .argument('[file]', 'the file', 'baton.yaml')
    .option('--offline', 'ask the forge nothing (default: it says which public repositories may use a group)')
    .action(async (file: string, options: unknown) => {
      process.exitCode = await checkConfig(file, options);
    });
  config
    .command('schema')
    .description('Print the JSON Schema of the configuration, for editors.')
    .action(() => {
      print(JSON.stringify(createConfigSchema(), null, 2));
    });
}
