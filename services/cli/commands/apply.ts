import { existsSync, readFileSync } from 'node:fs';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { hashConfig } from '../../../contracts/lib/config-hash.ts';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import { applyReply, type ApplyReply, type ApplyRequest } from '../../../contracts/messages/apply.ts';
import { findConfigFile } from '../lib/find-nats.ts';
import { natsOptions, parseOptions } from '../lib/options.ts';
import { requestAll, withNats } from '../lib/request.ts';
import { refreshEffective } from '../start/effective-config.ts';
import { getStateFolder } from '../start/state-folder.ts';
import { formatTable } from '../lib/text-table.ts';
import { print, printProblem } from '../lib/print.ts';

/** Those that read the groups of a configuration. */
const SERVICES = ['relay', 'orchestrator'] as const;
const MAX_CELL_LENGTH = 200;

/**
 * `baton apply [FILE]`: checks a configuration and makes every relay and orchestrator read its own again. Where `baton start
 * --config FILE` runs in this folder, the file that its services read is first written again from FILE (by default the one given
 * to `baton start`).
 *
 * @returns the exit code: 0 when all services applied it and have the same configuration as this file
 * @throws BatonError CONFIG_*, BUS_*
 */
export async function applyConfig(named: string | undefined, given: unknown): Promise<number> {
  const nats = parseOptions(natsOptions, given);
  const state = getStateFolder(process.cwd());
  const read = findConfigFile(nats.config);
  const started = read === state.config;
  const file = named ?? (started && existsSync(state.source) ? readFileSync(state.source, 'utf8') : undefined);
  const changed = started && file !== undefined && file !== read ? refreshEffective(file, read) : undefined;
  const wanted = hashConfig(loadConfig(file !== undefined && !started ? file : read));
  const body: ApplyRequest = { hash: wanted };
  const answers = await withNats({ ...nats, config: read }, 'admin', (bus) =>
    Promise.all(SERVICES.map((service) => requestAll(bus, { subject: subjects.apply(service), body }, applyReply))),
  );
  const silent = SERVICES.filter((_service, index) => answers[index]?.length === 0);
  const replies = answers.flat();
  if (silent.length > 0) {
    printProblem(`error: applying the configuration: no ${silent.join(' and no ')} answered.`);
    printProblem('Check that a relay and an orchestrator run, and that these are the credentials of `admin`.');
  }
  if (replies.length === 0) return 1;
  const rows = replies.map((reply) => [reply.service, reply.process, reply.file, formatResult(reply, wanted)]);
  print(formatTable([['SERVICE', 'PROCESS', 'FILE', 'RESULT'], ...rows], MAX_CELL_LENGTH));
  if (changed !== undefined) {
    print(`read from ${file}`);
    for (const line of listOutdatedWorkers(changed)) print(line);
  }
  return silent.length === 0 && replies.every(({ result }) => result?.hash === wanted && !result.older) ? 0 : 1;
}

/** A line for each backend whose worker runs with other settings, or doesn't run. */
function listOutdatedWorkers({ before, after }: { before: Config; after: Config }): string[] {
  const settings = ({ max: _max, ...backend }: Config['backends'][string]): string => JSON.stringify(backend);
  return Object.entries(after.backends).flatMap(([name, backend]) => {
    const old = before.backends[name];
    const remedy = 'Stop `baton start` and start it again.';
    if (old === undefined) return [`backend ${name} is new and has no worker yet. ${remedy}`];
    return settings(old) === settings(backend) ? [] : [`backend ${name} still has its old settings. ${remedy}`];
  });
}

function formatResult({ result, problem }: ApplyReply, wanted: string): string {
  if (result === null) return `refused, the old configuration stays in use: ${problem ?? 'unknown'}`;
  const parts = [result.changed ? `applied, ${result.groups} groups` : 'unchanged'];
  if (result.hash !== wanted) parts.push('its file differs from this one');
  if (result.older) parts.push('it is older than the newest file, which is used instead');
  if (result.needsRestart.length > 0) parts.push(`restart needed for: ${result.needsRestart.join(', ')}`);
  return parts.join('; ');
}
