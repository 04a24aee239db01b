import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../../contracts/config/config.ts';
import type { OperatorSetup } from '../../../deploy/nats/operator.ts';
import type { CredentialName } from '../../../deploy/nats/permissions.ts';
import { findSecretNames } from '../lib/secret-names.ts';
import { DEMO_ORGANIZATION, DEMO_REPOSITORY, DEMO_SECRETS } from './demo.ts';
import { SIGNING_KEY_VARIABLE } from './effective-config.ts';
import type { ServicePlan } from './supervisor.ts';
import type { StateFolder } from './state-folder.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What all processes that `baton start` runs have in common. */
export interface ServiceParts {
  config: Config;
  state: StateFolder;
  /** Undefined where the configuration names a NATS server: its credentials are used then. */
  operator: OperatorSetup | undefined;
  /** Values of the secrets that `baton start` made, by environment variable. */
  secrets: Readonly<Record<string, string>>;
}

/** The ports of one process of a service. */
export interface ServicePorts {
  admin: number;
  /** Of its server for everybody else; undefined where it has none. */
  own?: number | undefined;
}

/**
 * How to run one process of a service.
 *
 * @param label differs from copy to copy, and names the log
 * @param args positional: the backend's name
 */
export function planService(
  service: Exclude<CredentialName, 'setup' | 'observer' | 'admin'>,
  label: string,
  ports: ServicePorts,
  args: string[],
  parts: ServiceParts,
): ServicePlan {
  const { config, state, operator } = parts;
  const own = [`--admin-port=${ports.admin}`, ...(ports.own === undefined ? [] : [`--port=${ports.own}`])];
  return {
    name: label,
    command: process.execPath,
    args: [join(ROOT, 'services', service, 'main.ts'), ...args, '--config', state.config, ...own],
    env: {
      ...createEnvironment(service, config, parts.secrets),
      ...(operator === undefined
        ? {}
        : {
            BATON_NATS_CREDENTIALS: operator.credentials[service],
            // Only the relay reads it: it counts what the NATS server refused.
            BATON_NATS_SERVER_LOG: join(state.nats, 'nats.log'),
          }),
    },
    logFile: join(state.logs, `${label}.log`),
    readyUrl: `http://127.0.0.1:${ports.admin}/readyz`,
    // A backend worker finishes its current activities within 45 s.
    graceSeconds: 50,
  };
}

/** How to run the simulator, which the CLI starts as a process and never imports. */
export function planSimulator(
  port: number,
  options: { publicUrl: string; webhookUrl: string },
  parts: Omit<ServiceParts, 'config' | 'operator'>,
): ServicePlan {
  return {
    name: 'simulator',
    command: process.execPath,
    args: [
      join(ROOT, 'services', 'simulator', 'main.ts'),
      `--port=${port}`,
      `--public-url=${options.publicUrl}`,
      `--repository=${DEMO_ORGANIZATION}/${DEMO_REPOSITORY}`,
      `--webhook-url=${options.webhookUrl}`,
      `--webhook-secret-env=${DEMO_SECRETS.webhook}`,
      `--token-env=${DEMO_SECRETS.token}`,
    ],
    env: { ...process.env, ...parts.secrets },
    logFile: join(parts.state.logs, 'simulator.log'),
    readyUrl: `http://127.0.0.1:${port}/_sim/state`,
    graceSeconds: 5,
  };
}

/** This environment, with the secrets that the service uses and without those that only other services use. */
function createEnvironment(
  service: CredentialName,
  config: Config,
  made: Readonly<Record<string, string>>,
): NodeJS.ProcessEnv {
  const users = {
    ingress: [config.webhook, config.admin],
    relay: [config.temporal, config.admin.metrics_token],
    orchestrator: [config.temporal, config.forge, config.admin.metrics_token],
    backend: [config.temporal, config.nats, config.admin.metrics_token],
    setup: [],
    observer: [],
    admin: [],
  };
  const own = findSecretNames(users[service]);
  const env: NodeJS.ProcessEnv = { ...process.env, ...made };
  for (const name of [...findSecretNames(config), ...Object.keys(made), SIGNING_KEY_VARIABLE]) {
    if (!own.has(name)) delete env[name];
  }
  return env;
}
