import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { jitConfig, type JitConfig } from '../protocol.ts';

/** The file that config.sh writes for run.sh, beside the program as with GitHub's own runner. */
const FILE = join(dirname(fileURLToPath(import.meta.url)), '.runner');

const options = z.object({
  url: z.url(),
  token: z.string().min(1),
  name: z.string().min(1),
  labels: z.string().default(''),
  replace: z.boolean().default(false),
});
const answer = z.object({ jitConfig: z.string() });

/**
 * Registers a runner that isn't ephemeral, with a registration token: an argument, or in ACTIONS_RUNNER_INPUT_TOKEN.
 *
 * @throws Error when the server refuses, or the runner has a configuration
 */
export async function configure(args: string[]): Promise<void> {
  if (existsSync(FILE)) throw new Error('Cannot configure the runner because it is already configured.');
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args,
    options: {
      url: text,
      token: text,
      name: text,
      labels: text,
      unattended: flag,
      replace: flag,
      ephemeral: flag,
      disableupdate: flag,
    },
  });
  const { url, token, name, labels, replace } = options.parse({
    ...values,
    token: values.token ?? process.env['ACTIONS_RUNNER_INPUT_TOKEN'],
  });
  const { origin } = new URL(url);
  const response = await fetch(`${origin}/_runner/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, name, labels: labels.split(',').filter((label) => label !== ''), replace }),
  });
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`Http response code: ${response.status} from '${url}': ${JSON.stringify(body)}`);
  const config = jitConfig.parse(JSON.parse(Buffer.from(answer.parse(body).jitConfig, 'base64').toString('utf8')));
  // The server may use another address for itself than this machine does.
  writeFileSync(FILE, JSON.stringify({ ...config, serverUrl: origin }), { mode: 0o600 });
  process.stdout.write('\n√ Runner successfully added\n√ Settings Saved.\n');
}

/** @throws Error when config.sh has not run */
export function readConfiguration(): JitConfig {
  let text: string;
  try {
    text = readFileSync(FILE, 'utf8');
  } catch {
    throw new Error('Not configured. Run config.sh first, or give --jitconfig.');
  }
  return jitConfig.parse(JSON.parse(text));
}
