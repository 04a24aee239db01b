import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { aConfigFile } from '../../support/a-config-file.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const folder = temporaryFolder('secrets');
const file = join(folder.path, 'baton.yaml');
writeFileSync(file, aConfigFile({ forge: '  app: { id: 1, installation: 2, private_key: "${APP_KEY}" }' }));
afterAll(() => folder.remove());

/** Runs one of Baton's programs to its end, with these variables. */
function run(program: string, args: string[], env: NodeJS.ProcessEnv): { status: number | null; output: string } {
  const main = fileURLToPath(new URL(`../../../services/${program}/main.ts`, import.meta.url));
  const options = { encoding: 'utf8', env: { ...process.env, ...env }, timeout: 30_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], options);
  return { status, output: stdout + stderr };
}

const check = (env: NodeJS.ProcessEnv): ReturnType<typeof run> =>
  run('cli', ['config', 'check', '--offline', file], env);

describe('a secret that was set wrongly', () => {
  it('is refused by `baton config check`, with its key and what to do', () => {
    const { status, output } = check({ APP_KEY: '-----BEGIN RSA PRIVATE KEY-----' });
    expect(status).toBe(1);
    expect(output).toContain('error: forge.app.private_key: the value of APP_KEY is cut off');
    expect(output).toContain('export APP_KEY="$(cat FILE.pem)"');
    expect(output).toContain('SECRET_INVALID: Set the named environment variable again');
  });

  it('is a warning of `baton config check` where Baton can use it', () => {
    const { status, output } = check({ SECRET: 'sesame\n' });
    expect(status).toBe(0);
    expect(output).toContain('  warning: webhook.secrets[0]: the value of SECRET has white space around it');
    expect(output).toContain('environment variables not set here: APP_KEY');
  });

  it.each(['orchestrator', 'ingress'])('is refused at the start of the service %s', (service) => {
    const { status, output } = run(service, ['--config', file], { APP_KEY: 'sesame-1', SECRET: 'sesame-2' });
    expect(status).toBe(1);
    expect(output).toContain('"code":"SECRET_INVALID"');
    expect(output).toContain('forge.app.private_key: the value of APP_KEY is no PEM');
    expect(output).not.toContain('sesame');
  });

  it('is refused by `baton start` before it starts a server', () => {
    const { status, output } = run('cli', ['start', '--config', file], { APP_KEY: 'sesame' });
    expect(status).toBe(1);
    expect(output).toContain('SECRET_INVALID');
    expect(output).not.toContain('Temporal');
  });
});
