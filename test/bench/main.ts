import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { connectBus } from '../../contracts/lib/nats.ts';
import { Cluster } from '../support/cluster.ts';
import { LENIENT } from '../support/simulator.ts';
import { startBenchWorker } from './bench-worker.ts';
import {
  CROWD_BACKEND,
  Creations,
  formatCrowdGroup,
  formatCrowds,
  runCrowd,
  type Crowd,
  type CrowdResult,
} from './crowd.ts';
import { benchDelegations, delegationsText, type DelegationsResult } from './delegations.ts';
import { benchDrain, drainText } from './drain.ts';
import { formatGithubBursts, GITHUB_BURSTS, runGithubBursts, type GithubResult } from './github.ts';
import { HOOK_TARGET_MS, measureHookStart } from './hook-start.ts';
import { measureUsage } from './processes.ts';
import { formatProfiles, type Profile } from './profile.ts';
import { machine, scenarioText, versions } from './report.ts';
import { EXIT_MS, noOp, listProcesses, runScenario, type Result, type Scenario } from './scenario.ts';
import { SenderProcess } from './sender-process.ts';
import { writeReport, writeSummary } from './write-report.ts';

const SCENARIOS: readonly Scenario[] = [
  { name: 'steady', jobs: 60, perSecond: 1, jobMs: 20_000, boundMs: 60_000 },
  { name: 'burst50', jobs: 50, perSecond: 0, jobMs: 20_000, boundMs: 60_000 },
  { name: 'burst500', jobs: 500, perSecond: 0, jobMs: 20_000, boundMs: 120_000 },
  { name: 'burst5000', jobs: 5000, perSecond: 0, jobMs: 300_000, boundMs: 600_000 },
];

/** Run only when they are named: they take minutes. */
const CROWDS: readonly Crowd[] = [
  { name: 'idle1000', runners: 1000 },
  { name: 'idle10000', runners: 10_000 },
];

/**
 * One process sends the webhooks, on the same cores as everything else: with more concurrent deliveries the bench would measure
 * how long they wait for one another. Eight are enough to keep the ingress busy.
 */
const MAX_CONCURRENT_DELIVERIES = 8;

const WARM_UP = { jobs: 5, perSecond: 0, jobMs: 20_000, boundMs: 60_000 };

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    readme: { type: 'boolean', default: false },
    scenario: { type: 'string', multiple: true },
    count: { type: 'string', default: '200' },
    runs: { type: 'string', default: '1' },
    'no-processes': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    hook: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`npm run bench -- [--scenario NAME …] [--count N] [--runs N] [--no-processes] [--profile] [--json FILE] [--readme] | --hook

Measures the path from a webhook to the creation of an instance, with the simulator, a no-op command on the local
backend and one copy of each service. Scenarios: delegations (--count at once through the API, default 200, in --runs
clusters one after the other), ${SCENARIOS.map(({ name }) => name).join(', ')};
and only when named ${CROWDS.map(({ name }) => name).join(', ')}: that many idle and busy runners in one group;
github: bursts against all of GitHub's limits, ${GITHUB_BURSTS.map(({ name }) => name).join(', ')}, which take half an hour;
drain: a burst of jobs in one group while hundreds of idle runners of others retire.
--no-processes has instances that are no processes, so that only Baton, Temporal and NATS are measured.
--profile shows where the time of the bursts goes, by process and by operation of Temporal's database; Temporal's metrics, which it
needs, cost a little.
--json FILE writes the figures; --readme puts the tables into
deploy/docs/reference/benchmarks.md and the summary into README.md. --hook only measures the time from the start of a hook until the agent has its signal.`);
  process.exit(0);
}

if (values.hook) {
  const { p50, p99, bundle } = await measureHookStart(100);
  console.log(
    `hook, from its start to the signal: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms (target: p50 < ${HOOK_TARGET_MS} ms)`,
  );
  console.log(`agent and hooks together: ${(bundle / 1e6).toFixed(2)} MB; load average ${loadavg()[0]?.toFixed(2)}`);
  process.exit(0);
}

const load = `load average before: ${loadavg()
  .map((value) => value.toFixed(2))
  .join(' ')}`;
const chosen = SCENARIOS.filter(({ name }) => values.scenario === undefined || values.scenario.includes(name));
const bursts = GITHUB_BURSTS.filter(
  ({ name }) => values.scenario?.includes(name) || values.scenario?.includes('github'),
);
const crowds = CROWDS.filter(({ name }) => values.scenario?.includes(name));
/** Durations of jobs. Each has a backend of its own, whose instances run as long. */
const lengths = new Set([WARM_UP, ...chosen].map(({ jobMs }) => jobMs));
const toBackendName = ({ jobMs }: Pick<Scenario, 'jobMs'>): string =>
  `${values['no-processes'] ? CROWD_BACKEND : 'local'}-${jobMs / 1000}s`;
const measured: Record<string, unknown> = {};
let rssMb: Record<string, number> = {};
if (chosen.length + crowds.length > 0) await benchRunners();
if (values.scenario === undefined || values.scenario.includes('delegations')) await reportDelegations();
if (values.scenario?.includes('drain')) {
  console.log('drain: a burst alone, then while hundreds of idle runners retire …');
  const drain = await benchDrain();
  measured['drain'] = drain;
  const text = [drainText(drain), `${machine()}; ${load}`].join('\n');
  console.log(`\n${text}`);
  if (values.readme) await writeReport('bench:drain', 'npm run bench -- --scenario drain --readme', text);
}
if (bursts.length > 0) await benchGithub();
if (values.json) {
  const content = { scenarios: measured, rssMb, machine: machine(), versions: versions() };
  writeFileSync(values.json, `${JSON.stringify(content, null, 2)}\n`);
}

/** Runs bursts against GitHub's limits, each in a cluster of its own. */
async function benchGithub(): Promise<void> {
  const results = await runGithubBursts(bursts);
  Object.assign(measured, Object.fromEntries(results));
  const toText = (part: ReadonlyMap<string, GithubResult>): string =>
    [formatGithubBursts(part), `${machine()}; ${load}`].join('\n');
  console.log(`\n${toText(results)}`);
  if (!values.readme) return;
  const oneApp = new Map([...results].filter(([, { apps }]) => apps === 1));
  const severalApps = new Map([...results].filter(([, { apps }]) => apps > 1));
  if (oneApp.size > 0) await writeReport('bench:github', 'npm run bench -- --scenario github --readme', toText(oneApp));
  if (severalApps.size > 0) {
    const made = 'npm run bench -- --scenario github2000-4apps --readme';
    await writeReport('bench:github-apps', made, toText(severalApps));
  }
  await writeSummary({ github2000: results.get('github2000') });
}

async function reportCrowds(crowded: ReadonlyMap<string, CrowdResult>): Promise<void> {
  const text = [formatCrowds(crowded), `${machine()}; ${load}`].join('\n');
  console.log(text);
  const made = `npm run bench -- ${[...crowded.keys()].map((name) => `--scenario ${name} `).join('')}--readme`;
  if (values.readme) await writeReport('bench:crowd', made, text);
}

async function reportDelegations(): Promise<void> {
  const count = Number(values.count);
  const runs = Number(values.runs);
  const results: DelegationsResult[] = [];
  for (let run = 1; run <= runs; run++) {
    console.log(`delegations: ${count} concurrent ones, run ${run} of ${runs} …`);
    const result = await benchDelegations(count);
    results.push(result);
    measured[runs === 1 ? 'delegations' : `delegations-${run}`] = result;
    // Print the result now: a run that follows may be interrupted.
    console.log(`\n${delegationsText([result])}\n`);
  }
  const text = [delegationsText(results), `${machine()}; ${load}`].join('\n');
  console.log(`\n${text}`);
  if (!values.readme) return;
  const made = `npm run bench -- --scenario delegations --count ${count} --runs ${runs} --readme`;
  await writeReport(count === 1000 ? 'bench:delegations-1000' : 'bench:delegations', made, text);
  if (count === 200) await writeSummary({ delegations: results.at(-1) });
}

async function reportProfiles(profiles: ReadonlyMap<string, Profile>): Promise<void> {
  const text = [formatProfiles(profiles), `${machine()}; ${load}`].join('\n\n');
  console.log(`\n${text}`);
  const made = `npm run bench -- --profile ${[...profiles.keys()].map((name) => `--scenario ${name} `).join('')}--readme`;
  if (values.readme) await writeReport('bench:profile', made, text);
}

/** Runs the chosen scenarios and crowds, one after the other in one cluster. */
async function benchRunners(): Promise<void> {
  console.log('starting servers and services …');
  const cluster = await Cluster.start({
    copies: 1,
    temporalMetrics: values.profile,
    backends: values['no-processes'] ? [] : [...lengths].map((jobMs) => toBackendName({ jobMs })),
    simulator: {
      limits: { ...LENIENT.limits, webhookConcurrency: MAX_CONCURRENT_DELIVERIES },
      poster: new SenderProcess(),
    },
    config: `
backends:
${[...lengths]
  .map(
    (jobMs) =>
      `  ${toBackendName({ jobMs })}: { type: local, root: ROOT/${toBackendName({ jobMs })}, command: [${noOp(jobMs).join(', ')}] }`,
  )
  .join('\n')}
  ${CROWD_BACKEND}: { type: local, root: ROOT/${CROWD_BACKEND} }
groups:
${[{ ...WARM_UP, name: 'warmup' }, ...chosen]
  .map(
    (scenario) =>
      `  - { name: ${scenario.name}, organization: acme, labels: [${scenario.name}], backend: ${toBackendName(scenario)}, max: 10000 }`,
  )
  .join('\n')}
${crowds.map(formatCrowdGroup).join('\n')}
`,
  });
  // Ctrl-C stops everything that was started, the instances too.
  process.once('SIGINT', () => void cluster.stop().finally(() => process.exit(130)));
  try {
    const bus = await connectBus({
      url: cluster.nats.url,
      name: 'bench',
      credentialsFile: cluster.operator.credentials.observer,
    });
    if (values['no-processes']) {
      for (const jobMs of lengths) {
        const args = [String(jobMs + EXIT_MS)];
        await startBenchWorker(cluster, { file: 'nothing-worker.ts', backend: toBackendName({ jobMs }), args });
      }
    }
    if (chosen.length > 0) await runScenario(cluster, bus, { ...WARM_UP, name: 'steady' }, 'warmup');
    const results = new Map<string, Result>();
    for (const scenario of chosen) {
      console.log(
        `${scenario.name}: ${scenario.jobs} jobs${scenario.perSecond ? `, ${scenario.perSecond} a second` : ' at once'} …`,
      );
      results.set(scenario.name, await runScenario(cluster, bus, scenario, scenario.name));
      // Print the result now: a long scenario that follows may be interrupted.
      console.log(JSON.stringify(results.get(scenario.name)));
    }
    const crowded = new Map<string, CrowdResult>();
    const creations = await Creations.begin(bus);
    if (crowds.length > 0) await startBenchWorker(cluster, { file: 'nothing-worker.ts', backend: CROWD_BACKEND });
    for (const crowd of crowds) {
      console.log(`${crowd.name}: ${crowd.runners} runners of one group …`);
      crowded.set(crowd.name, await runCrowd(cluster, creations, crowd));
    }
    creations.stop();
    if (crowded.size > 0) await reportCrowds(crowded);
    rssMb = Object.fromEntries(
      [...measureUsage(listProcesses(cluster))].map(([name, { rss }]) => [name, Math.round(rss / 1024 ** 2)]),
    );
    await bus.close();
    Object.assign(measured, Object.fromEntries(results), Object.fromEntries(crowded));
    const text = [scenarioText(results, rssMb, MAX_CONCURRENT_DELIVERIES), load].join('\n');
    if (results.size > 0) console.log(`\n${text}`);
    const profiles = new Map([...results].flatMap(([name, { profile }]) => (profile ? [[name, profile]] : [])));
    if (values.profile) await reportProfiles(profiles);
    else if (values.readme && results.size > 0) {
      await writeReport('bench', 'npm run bench -- --readme', text);
      await writeSummary({ steady: results.get('steady'), burst5000: results.get('burst5000') });
    }
  } finally {
    await cluster.stop();
  }
}
