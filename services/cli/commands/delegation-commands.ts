import type { Command } from 'commander';
import { showAudit } from './audit.ts';
import { runServiceMain } from './run-service.ts';
import { printToken, printTokenKey } from './proxy-token.ts';

/** `baton audit`, `baton proxy …`. */
export function addDelegationCommands(program: Command): void {
  program
    .command('audit')
    .description('Print who delegated what, when, and what came of it.')
    .option('--config <file>', 'configuration that names NATS (default: what `baton start` runs here, else baton.yaml)')
    .option('--credentials <file>', 'NATS credentials (default: what `baton start` made, else BATON_NATS_CREDENTIALS)')
    .option('--since <duration>', 'only the last 30m, 12h, 5d, … (default: all that is kept, 90 days)')
    .option('--delegation <id>', 'only this delegation')
    .option('--repository <owner/name>', 'only this repository')
    .option('--json', 'as JSON, a line each')
    .action(async (options: unknown) => {
      process.exitCode = await showAudit(options);
    });

  const proxy = program.command('proxy').description('Proxy runners: they hand their jobs to ephemeral runners.');
  proxy
    .command('run', { isDefault: true })
    .description(
      'Run a proxy. Its token is in RUNNER_TOKEN; options may come from the environment (BATON_PROXY_NAME, …).',
    )
    .option('--name <name>', 'its name, as under delegation.proxies')
    .option('--url <url>', 'whose runner it is: https://github.com/ORGANIZATION[/REPOSITORY]')
    .option('--labels <list>', 'its labels, separated by commas')
    .option('--orchestrator-url <url>', 'where the ingress is')
    .option('--directory <folder>', 'where the forge’s runner is (default: /home/runner)')
    .option('--hooks <folder>', 'job-started.sh and job-completed.sh of your own (default: Baton’s)')
    .option('--state <folder>', 'where hooks and their state go (default: .baton/proxy)')
    .option('--host <address>', 'where its HTTP server listens (default: 127.0.0.1)')
    .option('--port <n>', 'its port (default: a free one)')
    .action(() => runServiceMain('proxy'));
  proxy
    .command('key')
    .description('Make the pair of keys that proxies’ tokens are signed and checked with.')
    .action(() => {
      process.exitCode = printTokenKey();
    });
  proxy
    .command('token')
    .description('Make a bearer token for one proxy, with the key in BATON_PROXY_SIGNING_KEY.')
    .argument('<name>', 'the proxy’s name')
    .option('--lifetime <duration>', 'how long it is good', '90d')
    .action((name: string, options: unknown) => {
      process.exitCode = printToken(name, options);
    });
}
