import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { createLogger, type Logger } from '../../../contracts/lib/log.ts';
import type { ActionRunner } from '../../../hooks/action-runners/manager/action-runner.ts';
import { developmentLog } from '../../../hooks/action-runners/manager/development-log.ts';
import { Manager } from '../../../hooks/action-runners/manager/manager.ts';
import { readActionRequest } from '../../../hooks/action-runners/manager/action-request.ts';
import {
  isDevMode,
  readRunnerEnvironment,
  type RunnerEnvironment,
} from '../../../hooks/action-runners/manager/runner-environment.ts';
import type { Reporter } from '../../../hooks/action-runners/manager/report.ts';
import { createTerminationSignal } from '../../../hooks/action-runners/manager/termination-signal.ts';
import { configMapReporter } from '../../../hooks/action-runners/reporters/kubernetes-configmap.ts';
import { RunnerConnection } from '../../../hooks/action-runners/reporters/runner-connection.ts';
import { natsReporter } from '../../../hooks/action-runners/reporters/nats.ts';
import { nopReporter } from '../../../hooks/action-runners/reporters/nop.ts';
import { BUILT_IN_ACTION_RUNNERS } from '../../../hooks/action-runners/runners/catalog.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { bundleAgent } from '../../backend/agent-bundle.ts';

/** Names of the reporters, for `--reporter`. */
export const REPORTERS = ['nats', 'kubernetes-configmap', 'nop'] as const;
type ReporterName = (typeof REPORTERS)[number];

/** What a user's own file must export by default. */
const ownRunner = z.object({
  default: z.custom<ActionRunner>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      'name' in value &&
      'input' in value &&
      value.input instanceof z.ZodType &&
      ['start', 'waitForCompletion'].every((method) => typeof Reflect.get(value, method) === 'function'),
    'is not an ActionRunner',
  ),
});

/**
 * `baton action-runner NAME`: runs one action, described by the `RUNNER_*` variables.
 *
 * @param name one of the catalog, or the path of a file that exports an ActionRunner
 * @returns the exit code: 0 when the action succeeded
 */
export async function runActionRunner(name: string, options: { reporter?: string | undefined }): Promise<number> {
  const devMode = isDevMode(process.env);
  // Standard output belongs to the action: the Manager logs to standard error.
  const destination = devMode ? developmentLog : { write: (line: string) => void process.stderr.write(line) };
  const log = createLogger('action-runner', devMode ? 'debug' : undefined, destination);
  const stop = createTerminationSignal(log);
  const folders: string[] = [];
  try {
    const settings = readRunnerEnvironment(process.env);
    const request = await readActionRequest(settings, (text): unknown => parse(text));
    const named = log.child({ action: settings.name });
    const connection = new RunnerConnection(named);
    const runner = await findRunner(name, connection, folders);
    const reporter = chooseReporter(name, options.reporter, settings, connection, named);
    const manager = new Manager({ runner, reporter, log: named, stop });
    const { state } = await manager.execute(request);
    return state === 'succeeded' ? 0 : 1;
  } catch (error) {
    const { code, help } = error instanceof BatonError ? error : { code: 'INTERNAL', help: undefined };
    log.fatal({ code, help }, getErrorMessage(error));
    return 1;
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

async function findRunner(name: string, connection: RunnerConnection, folders: string[]): Promise<ActionRunner> {
  const builtIn = BUILT_IN_ACTION_RUNNERS[name];
  if (builtIn !== undefined) {
    const agentFolder = async (): Promise<string> => {
      const folder = mkdtempSync(join(tmpdir(), 'baton-agent-'));
      folders.push(folder);
      for (const file of (await bundleAgent()).files) {
        writeFileSync(join(folder, file.name), file.content);
        chmodSync(join(folder, file.name), file.executable ? 0o500 : 0o400);
      }
      return folder;
    };
    return await builtIn({ connection, version: packageFile.version, agentFolder });
  }
  const known = Object.keys(BUILT_IN_ACTION_RUNNERS).join(', ');
  if (!/\.m?[jt]s$/.test(name)) {
    throw new BatonError(
      'CONFIG_INVALID',
      `loading action runner ${name}: unknown. Use one of ${known}, or a .ts or .js file`,
    );
  }
  let exported: unknown;
  try {
    exported = await import(pathToFileURL(resolve(name)).href);
  } catch (error) {
    throw new BatonError('CONFIG_UNREADABLE', `loading action runner ${name}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  }
  const parsed = ownRunner.safeParse(exported);
  if (parsed.success) return parsed.data.default;
  throw new BatonError('CONFIG_INVALID', `loading action runner ${name}: its default export is not an ActionRunner`);
}

/** The requested one; else one that works in this environment; `nop` for an action runner that isn't built in. */
function chooseReporter(
  runner: string,
  requested: string | undefined,
  settings: RunnerEnvironment,
  connection: RunnerConnection,
  log: Logger,
): Reporter {
  const natsUrl = process.env[AGENT_ENV.natsUrl];
  const name: ReporterName =
    requested === undefined ? getDefaultReporter(runner, settings, natsUrl) : z.enum(REPORTERS).parse(requested);
  log.debug({ reporter: name }, 'reporter chosen');
  if (name === 'kubernetes-configmap') return configMapReporter();
  if (name === 'nop') return nopReporter;
  if (runner !== 'github-actions') {
    if (!natsUrl) throw new BatonError('CONFIG_INVALID', `reporting to NATS: ${AGENT_ENV.natsUrl} is not set`);
    const file = process.env[AGENT_ENV.natsCredentials];
    const credentials = file ? readFileSync(file, 'utf8') : '';
    const ca = process.env[AGENT_ENV.natsAuthority];
    const natsTls = ca ? { authority: readFileSync(ca, 'utf8') } : undefined;
    connection.open({ runner: settings.name, natsUrl, natsTls, credentials }).catch((error: unknown) => {
      log.error({ err: error }, 'cannot connect to NATS');
    });
  }
  return natsReporter(connection, packageFile.version);
}

function getDefaultReporter(runner: string, settings: RunnerEnvironment, natsUrl: string | undefined): ReporterName {
  if (BUILT_IN_ACTION_RUNNERS[runner] === undefined) return 'nop';
  if (runner === 'github-actions' || natsUrl) return 'nats';
  return settings.platform['NAMESPACE'] === undefined ? 'nop' : 'kubernetes-configmap';
}
