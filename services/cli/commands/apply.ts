import { existsSync, readFileSync } from 'node:fs';
import { RequestStrategy } from 'nats';
import { z } from 'zod';
import { decode } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { hashConfig } from '../../../contracts/lib/config-hash.ts';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import { applyReply, type ApplyReply } from '../../../contracts/messages/apply.ts';
import { withNats } from '../lib/request.ts';
import { findConfigFile } from '../lib/find-nats.ts';
import { refreshEffective } from '../start/effective-config.ts';
import { getStateFolder } from '../start/state-folder.ts';
import { formatTable } from '../lib/text-table.ts';

/** Answers come within seconds; how many there will be, nobody knows. */
const LISTEN_MS = 15_000;
const QUIET_MS = 3000;

const options = z.object({ config: z.string().optional(), credentials: z.string().optional() });

/**
 * `baton apply [FILE]`: checks a configuration and has every relay and orchestrator read theirs again. Where `baton start
 * --config FILE` runs in this folder, what its services read is made anew of FILE first, which needn't be named again.
 *
 * @returns the exit code: 0 when all took it up and have the same configuration as this file
 * @throws BatonError CONFIG_*, BUS_*
 */
export async function applyConfig(named: string | undefined, given: unknown): Promise<number> {
  const where = options.parse(given);
  const state = getStateFolder(process.cwd());
  const read = findConfigFile(where.config);
  const started = read === state.config;
  const file = named ?? (started && existsSync(state.source) ? readFileSync(state.source, 'utf8') : undefined);
  const changed = started && file !== undefined && file !== read ? refreshEffective(file, read) : undefined;
  const wanted = hashConfig(loadConfig(file !== undefined && !started ? file : read));
  const answers = await withNats({ ...where, config: read }, 'admin', async (bus) => {
    const strategy = RequestStrategy.JitterTimer;
    const heard: ApplyReply[] = [];
    const replies = await bus.requestMany(subjects.apply, undefined, {
      strategy,
      maxWait: LISTEN_MS,
      jitter: QUIET_MS,
    });
    for await (const reply of replies) {
      // Nobody listens, or the server ended the asking: what was heard by then counts.
      if (reply instanceof Error) break;
      heard.push(applyReply.parse(decode(reply.data)));
    }
    return heard;
  });
  if (answers.length === 0) {
    console.error('no service answered: do a relay and an orchestrator run, and may this credential ask them?');
    return 1;
  }
  const rows = answers.map((answer) => [answer.service, answer.process, answer.file, formatResult(answer, wanted)]);
  console.log(formatTable([['SERVICE', 'PROCESS', 'FILE', 'RESULT'], ...rows], 200));
  if (changed !== undefined) {
    console.log(`taken from ${file}`);
    for (const line of listOutdatedWorkers(changed)) console.log(line);
  }
  return answers.every(({ result }) => result?.hash === wanted) ? 0 : 1;
}

/** Backends whose workers `baton start` runs otherwise, or not at all: a line each. */
function listOutdatedWorkers({ before, after }: { before: Config; after: Config }): string[] {
  const settings = ({ max: _max, ...backend }: Config['backends'][string]): string => JSON.stringify(backend);
  return Object.entries(after.backends).flatMap(([name, backend]) => {
    const was = before.backends[name];
    const remedy = 'stop `baton start` and start it again';
    if (was === undefined) return [`backend ${name} is new, and nobody makes its instances yet: ${remedy}`];
    return settings(was) === settings(backend) ? [] : [`backend ${name} goes on with its old settings: ${remedy}`];
  });
}

function formatResult({ result, problem }: ApplyReply, wanted: string): string {
  if (result === null) return `refused, goes on with what it had: ${problem ?? 'unknown'}`;
  const parts = [result.changed ? `taken up, ${result.groups} groups` : 'nothing changed'];
  if (result.hash !== wanted) parts.push('but its file is not the same as this one');
  if (result.needsRestart.length > 0) parts.push(`a restart is needed for: ${result.needsRestart.join(', ')}`);
  return parts.join('; ');
}
