import type { Command } from 'commander';
import { addNatsCommand } from '../lib/options.ts';
import { showAudit } from './audit.ts';
import { printCredential, printToken, printTokenKey } from './proxy-token.ts';
import { runServiceMain } from './run-service.ts';

/** `baton audit` and `baton proxy …`. */
export function addDelegationCommands(program: Command): void {
  addNatsCommand(
    program,
    'audit',
    'Print who delegated which job, when, and with what result; and which requests were refused.',
  )
    .option('--since <duration>', 'only the last 30m, 12h, 5d, … (default: all entries, which are kept for 90 days)')
    .option('--delegation <id>', 'only this delegation')
    .option('--repository <owner/name>', 'only this repository')
    .option('--refusals', 'only requests that the ingress refused')
    .option('--json', 'print JSON, one entry per line')
    .action(async (options: unknown) => {
      process.exitCode = await showAudit(options);
    });

  const proxy = program.command('proxy').description('Run a proxy runner, or make its keys and tokens.');
  proxy
    .command('run', { isDefault: true })
    .description('Run a proxy runner, which hands its jobs to ephemeral runners.')
    .option('--name <name>', 'name of the proxy, as in delegation.proxies (or BATON_PROXY_NAME)')
    .option('--url <url>', 'https://github.com/ORGANIZATION[/REPOSITORY] (or BATON_PROXY_URL)')
    .option('--labels <list>', 'labels of the proxy, separated by commas (or BATON_PROXY_LABELS)')
    .option('--orchestrator-url <url>', 'address of the ingress (or BATON_PROXY_ORCHESTRATOR_URL)')
    .option('--directory <folder>', 'folder of the forge’s runner (default: BATON_PROXY_DIRECTORY, else /home/runner)')
    .option(
      '--runner-user <user>',
      'user that the forge’s runner and jobs run as, for this proxy alone (default: BATON_PROXY_RUNNER_USER, else runner)',
    )
    .option('--same-user', 'run jobs as this user, so that they can read the token (or BATON_PROXY_SAME_USER=true)')
    .option(
      '--credential-file <file>',
      'credential of `baton proxy credential` (or BATON_PROXY_CREDENTIAL_FILE; without one, the token in RUNNER_TOKEN)',
    )
    .option(
      '--share <list>',
      'variables that are handed over besides GITHUB_*, RUNNER_* and CI: A,B_* (or BATON_PROXY_SHARE)',
    )
    .option('--state <folder>', 'the hook and its socket (default: BATON_PROXY_STATE, else .baton/proxy)')
    .option('--host <address>', 'address of its HTTP server (default: BATON_PROXY_HOST, else 127.0.0.1)')
    .option('--port <n>', 'port of its HTTP server (default: BATON_PROXY_PORT, else a free one)')
    .action(() => runServiceMain('proxy'));
  proxy
    .command('key')
    .description('Make the pair of keys that signs and checks the tokens of proxies.')
    .action(() => {
      process.exitCode = printTokenKey();
    });
  proxy
    .command('credential')
    .description('Make a credential, with which one proxy signs its tokens, signed with BATON_PROXY_SIGNING_KEY.')
    .argument('<name>', 'name of the proxy')
    .option('--lifetime <duration>', 'how long the credential is valid', '365d')
    .action((name: string, options: unknown) => {
      process.exitCode = printCredential(name, options);
    });
  proxy
    .command('token')
    .description('Make a bearer token for one proxy, signed with the key in BATON_PROXY_SIGNING_KEY.')
    .argument('<name>', 'name of the proxy')
    .option('--lifetime <duration>', 'how long the token is valid, at most 24h', '12h')
    .option('--read', 'it may also read what became of the jobs of that proxy')
    .action((name: string, options: unknown) => {
      process.exitCode = printToken(name, options);
    });
}
