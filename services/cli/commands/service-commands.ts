import { Option, type Command } from 'commander';
import { REPORTERS, runActionRunner } from './action-runner.ts';
import { runServiceMain } from './run-service.ts';

const SERVICES = [
  { name: 'ingress', description: 'Run the ingress, which receives webhooks and serves the status page.' },
  { name: 'relay', description: 'Run the relay, which passes messages from NATS to Temporal.' },
  { name: 'orchestrator', description: 'Run the orchestrator, the worker for workflows and for calls to the forge.' },
  { name: 'backend', description: 'Run the worker of one backend, which creates and deletes its instances.' },
] as const;

/** A command for each service, and `baton action-runner`. */
export function addServiceCommands(program: Command): void {
  for (const { name, description } of SERVICES) {
    const command = program.command(name).description(description);
    if (name === 'backend') command.argument('<name>', 'name of the backend in the configuration');
    command.option('--config <file>', 'configuration (default: BATON_CONFIG, else baton.yaml)');
    if (name === 'ingress') {
      command
        .option('--host <address>', 'address for the forge, machines and proxies (default: 127.0.0.1)')
        .option('--port <n>', 'port for the forge, machines and proxies (default: a free one)');
    }
    const pages = name === 'ingress' ? 'status page, health and metrics' : 'health and metrics';
    command
      .option('--admin-host <address>', `address of ${pages} (default: 127.0.0.1)`)
      .option('--admin-port <n>', `port of ${pages} (default: a free one)`)
      .action(() => runServiceMain(name));
  }

  program
    .command('action-runner')
    .description('Run one action, described by the RUNNER_* variables.')
    .argument('<name>', 'github-actions, container, shell, wrapper, temporal, or a .ts or .js file of your own')
    .addOption(
      new Option('--reporter <name>', 'where to report its state (default: depends on the environment)').choices([
        ...REPORTERS,
      ]),
    )
    .addHelpText('after', '\nThe variables are described in deploy/docs/guides/action-runners.md.')
    .action(async (name: string, { reporter }: { reporter?: string }) => {
      process.exit(await runActionRunner(name, { reporter }));
    });
}
