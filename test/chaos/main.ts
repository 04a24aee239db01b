import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, versions } from '../bench/report.ts';
import { readBlock, writeReport } from '../bench/write-report.ts';
import type { Cluster } from '../support/cluster.ts';
import { isDockerAvailable } from '../support/docker.ts';
import { FAULT_KINDS } from './fault-kinds.ts';
import { DOCKER_GROUP, listProcessNames, LOCAL_GROUPS } from './installation.ts';
import { formatFailure, formatResult, mergeResults } from './report.ts';
import { runChaos } from './run.ts';
import { createSchedule, formatSchedule, hashSchedule } from './schedule.ts';

const HELP = `npm run chaos -- [--jobs N] [--seed N | --seeds A..B] [--faults N] [--kind KIND …] [--max-fault SECONDS] [--minutes M] [--no-docker] [--schedule | --timeline] [--write]

Runs jobs on processes and containers while processes are killed and stopped, webhooks are lost, the forge fails and instances
die, and checks from outside that Baton keeps its promises. The seed decides what happens and when; the same options and
seed give the same schedule. A failure prints what happened around it.

--jobs N       jobs until the last fault; default 1000
--seed N       default: by chance
--seeds A..B   one run after the other
--faults N     default: a fifth of the jobs
--kind KIND    only these kinds of faults: ${FAULT_KINDS.join(', ')}
--max-fault S  longest time for which a process is stopped or the forge refuses, seconds; default 40
--minutes M    ends the faults after this time
--no-docker    local instances only
--schedule     prints what would happen, and runs nothing
--timeline     writes everything that happened into a file, also without a failure
--write        puts the results into deploy/docs/reference/chaos.md, beside those of other seeds`;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    seeds: { type: 'string' },
    faults: { type: 'string' },
    // Longer than Temporal and NATS wait for a process: they give its work to another one, and then it wakes up.
    'max-fault': { type: 'string', default: '40' },
    minutes: { type: 'string' },
    kind: { type: 'string', multiple: true },
    'no-docker': { type: 'boolean', default: false },
    schedule: { type: 'boolean', default: false },
    timeline: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const jobs = Number(values.jobs);
const faults = Number(values.faults ?? Math.ceil(jobs / 5));
const kinds = values.kind && FAULT_KINDS.filter((kind) => values.kind?.includes(kind));
const noDocker = values['no-docker'] || !(await isDockerAvailable());
const groups = noDocker ? LOCAL_GROUPS : [...LOCAL_GROUPS, DOCKER_GROUP];
if (noDocker) console.log('without containers');
const maxFaultMs = Number(values['max-fault']) * 1000;

/** Ctrl-C stops everything that was started, the instances too. */
let running: Cluster | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void running?.stop().finally(() => process.exit(130)));
}

const PAGE = new URL('../../deploy/docs/reference/chaos.md', import.meta.url);

const command = ['npm run chaos --', ...process.argv.slice(2)].join(' ');
const lines: string[] = [];
let failed = 0;
for (const seed of listSeeds()) if (!(await runSeed(seed))) failed += 1;
if (values.write) {
  const merged = mergeResults(readBlock(readFileSync(PAGE, 'utf8'), 'chaos:seeds'), lines);
  const text = [...merged, `${machine()}; ${versions()}`].join('\n');
  await writeReport('chaos:seeds', 'npm run chaos -- --jobs JOBS --seed SEED --write', text, PAGE);
}
process.exit(failed === 0 ? 0 : 1);

function listSeeds(): number[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(values.seeds ?? '');
  if (range === null) return [Number(values.seed ?? Math.floor(Math.random() * 1_000_000))];
  const [from, to] = [Number(range[1]), Number(range[2])];
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** @returns whether no promise was broken */
async function runSeed(seed: number): Promise<boolean> {
  const options = { seed, jobs, faults, groups, maxFaultMs, ...(kinds && { kinds }) };
  if (values.schedule) {
    const schedule = createSchedule({ ...options, processes: listProcessNames(groups) });
    console.log(`${formatSchedule(schedule)}\nseed ${seed}, schedule ${hashSchedule(schedule)}`);
    return true;
  }
  const result = await runChaos({
    ...options,
    maxWaitMs: 180_000,
    ...(values.minutes !== undefined && { endAfterMs: Number(values.minutes) * 60_000 }),
    print: (line) => console.log(line),
    onStarted: (cluster) => {
      running = cluster;
    },
  });
  const line = formatResult(seed, result);
  console.log(line);
  lines.push(line);
  if (values.timeline || result.problems.length > 0) {
    const file = join(tmpdir(), `baton-chaos-${seed}.txt`);
    writeFileSync(file, result.fullTimeline);
    console.log(`everything that happened: ${file}`);
  }
  if (result.problems.length === 0) return true;
  const again = `${command.replace(/ --seeds? \S+/, '')} --seed ${seed}`;
  console.log(formatFailure(again, result));
  return false;
}
