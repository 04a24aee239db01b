import { parseArgs } from 'node:util';
import { z } from 'zod';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { BatonError } from '../../contracts/errors.ts';
import { NAME_PATTERN } from '../../contracts/workflows/runner-name.ts';
import { toWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * The options of a proxy. It has no configuration file, because its machine knows nothing of groups, backends or the
 * bus.
 */
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);

const proxyOptions = z.object({
  /** The proxy's name on the forge, and in `delegation.proxies`. */
  name: z.string().max(60).regex(NAME_PATTERN, 'expected lower-case letters, digits and dashes'),
  /** The organization or repository that it is registered with: `https://github.com/ORGANIZATION[/REPOSITORY]`. */
  url: z.url({ protocol: /^https?$/ }),
  labels: list.pipe(z.array(z.string()).min(1)),
  /** The URL of the ingress, as this machine reaches it. */
  'orchestrator-url': z.url({ protocol: /^https?$/ }),
  /** The folder of the forge's runner, with config.sh and run.sh. */
  directory: z.string().min(1).default('/home/runner'),
  /** The user that the forge's runner and its jobs run as; it must have no other purpose, nor another proxy. */
  'runner-user': z.string().min(1).default('runner'),
  /** Whether jobs may run as this process's own user, and so read its token. */
  'same-user': z.stringbool().default(false),
  /** The credential of `baton proxy credential NAME`. */
  'credential-file': z.string().min(1).optional(),
  /** Names of variables of this process that its runner gets, and that are handed over with jobs. */
  share: list.prefault(''),
  /** The folder for the hook's program and its socket. */
  state: z.string().min(1).default('.baton/proxy'),
  host: z.string().default('127.0.0.1'),
  port: z.coerce.number().int().min(0).max(65_535).default(0),
});

const secrets = z.object({
  /** The bearer token of `baton proxy token NAME`, where there is no credential. */
  token: z.string().min(1).optional(),
  /** The forge's registration token, valid for an hour. Not needed if the runner is configured already. */
  registrationToken: z.string().min(1).optional(),
});

export type ProxyOptions = z.infer<typeof proxyOptions>;
export type ProxySecrets = z.infer<typeof secrets>;

export const REGISTRATION_TOKEN = 'BATON_REGISTRATION_TOKEN';

/**
 * Reads the options from the command line, or from environment variables `BATON_PROXY_<NAME>`. Tokens are read from the
 * environment only.
 *
 * @throws BatonError CONFIG_INVALID, which names all wrong options; SECRET_MISSING
 */
export function readProxyOptions(args: readonly string[], env: NodeJS.ProcessEnv): ProxyOptions & ProxySecrets {
  const names = Object.keys(proxyOptions.shape);
  const options = Object.fromEntries(
    names.map((name) => [name, { type: name === 'same-user' ? ('boolean' as const) : ('string' as const) }]),
  );
  const { values } = parseArgs({ args: [...args], options });
  const given = Object.fromEntries(
    names.flatMap((name) => {
      const value = values[name] ?? env[`BATON_PROXY_${name.toUpperCase().replaceAll('-', '_')}`];
      return value === undefined || value === '' ? [] : [[name, String(value)]];
    }),
  );
  const parsed = proxyOptions.safeParse(given);
  if (!parsed.success) {
    const problems = toWrongFields(parsed.error)
      .map(({ path, message }) => `--${path}: ${message}`)
      .join('; ');
    throw new BatonError('CONFIG_INVALID', `reading the proxy’s options: ${problems}`);
  }
  const tokens = secrets.safeParse({
    token: env[PROXY_ENV.token] || undefined,
    registrationToken: env[REGISTRATION_TOKEN] || undefined,
  });
  if (!tokens.success || (tokens.data.token === undefined && parsed.data['credential-file'] === undefined)) {
    const what = `give it --credential-file, or a token in environment variable ${PROXY_ENV.token}`;
    throw new BatonError('SECRET_MISSING', `reading the proxy’s options: ${what}`);
  }
  return { ...parsed.data, ...tokens.data };
}
