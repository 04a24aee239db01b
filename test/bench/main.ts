import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { connectBus } from '../../contracts/bus/connection.ts';
import { textTable } from '../../services/cli/text-table.ts';
import { Cluster } from '../e2e/cluster.ts';
import { CROWD_BACKEND, crowdGroup, crowdText, runCrowd, startNothing, type Crowd, type CrowdResult } from './crowd.ts';
import { benchDelegations } from './delegations.ts';
import { HOOK_TARGET_MS, measureHookStart } from './hook-start.ts';
import { usageOf } from './processes.ts';
import { noOp, processesOf, runScenario, type Result, type Scenario } from './scenario.ts';

const SCENARIOS: readonly Scenario[] = [
  { name: 'steady', jobs: 60, perSecond: 1, jobMs: 20_000, boundMs: 60_000 },
  { name: 'burst50', jobs: 50, perSecond: 0, jobMs: 20_000, boundMs: 60_000 },
  { name: 'burst500', jobs: 500, perSecond: 0, jobMs: 20_000, boundMs: 120_000 },
  { name: 'burst5000', jobs: 5000, perSecond: 0, jobMs: 300_000, boundMs: 600_000 },
];

/** Only run when asked for: they take minutes. */
const CROWDS: readonly Crowd[] = [
  { name: 'idle1000', runners: 1000 },
  { name: 'idle10000', runners: 10_000 },
];

/**
 * The simulator's senders share one event loop, and its cores with everything else: more at once would measure how long
 * deliveries wait for one another in the sender. Eight keep the ingress busy all the same.
 */
const DELIVERIES_AT_ONCE = 8;

const WARM_UP = { jobs: 5, perSecond: 0, jobMs: 20_000, boundMs: 60_000 };

/** First targets on 2 cores. */
const TARGETS = [
  'targets: 1/s create p50 ≤ 100 ms, p99 ≤ 300 ms; burst of 50 p99 ≤ 2 s; of 500 p99 ≤ 15 s; of 5,000 all ≤ 240 s, none lost;',
  'ack p99 ≤ 50 ms in all; ≤ 40 history events a runner',
].join('\n');

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    readme: { type: 'boolean', default: false },
    scenario: { type: 'string', multiple: true },
    hook: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`npm run bench -- [--scenario NAME …] [--json FILE] [--readme] | --hook

Measures the path from a webhook to the creation of an instance, against the simulator and a no-op command on the
local backend, with one copy of each service. Scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')};
and only when asked for ${CROWDS.map(({ name }) => name).join(', ')}: so many idle and busy runners in one group; delegations alone: 200 of them at once.
--json FILE writes the figures; --readme puts the table into README.md. --hook measures a hook's start until the agent has its signal, and nothing else.`);
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

if (values.scenario?.includes('delegations')) {
  console.log(await benchDelegations());
  process.exit(0);
}

const chosen = SCENARIOS.filter(({ name }) => values.scenario === undefined || values.scenario.includes(name));
const crowds = CROWDS.filter(({ name }) => values.scenario?.includes(name));
/** A backend for each length of job: its instances live as long. */
const lengths = new Set([WARM_UP, ...chosen].map(({ jobMs }) => jobMs));
const backendOf = ({ jobMs }: Pick<Scenario, 'jobMs'>): string => `local-${jobMs / 1000}s`;
const load = loadavg().map((value) => value.toFixed(2));
console.log('starting servers and services …');
const cluster = await Cluster.start({
  copies: 1,
  backends: [...lengths].map((jobMs) => backendOf({ jobMs })),
  simulator: { limits: { webhookConcurrency: DELIVERIES_AT_ONCE } },
  config: `
backends:
${[...lengths]
  .map(
    (jobMs) =>
      `  ${backendOf({ jobMs })}: { type: local, root: ROOT/${backendOf({ jobMs })}, command: [${noOp(jobMs).join(', ')}] }`,
  )
  .join('\n')}
  ${CROWD_BACKEND}: { type: local, root: ROOT/${CROWD_BACKEND} }
groups:
${[{ ...WARM_UP, name: 'warmup' }, ...chosen]
  .map(
    (scenario) =>
      `  - { name: ${scenario.name}, organization: acme, labels: [${scenario.name}], backend: ${backendOf(scenario)}, max: 10000 }`,
  )
  .join('\n')}
${crowds.map(crowdGroup).join('\n')}
`,
});
// Ctrl-C ends what was started, the instances too.
process.once('SIGINT', () => void cluster.stop().finally(() => process.exit(130)));
try {
  const bus = await connectBus({
    url: cluster.nats.url,
    name: 'bench',
    credentialsFile: cluster.operator.credentials.observer,
  });
  if (chosen.length > 0) await runScenario(cluster, bus, { ...WARM_UP, name: 'steady' }, 'warmup');
  const results = new Map<string, Result>();
  for (const scenario of chosen) {
    console.log(
      `${scenario.name}: ${scenario.jobs} jobs${scenario.perSecond ? `, ${scenario.perSecond} a second` : ' at once'} …`,
    );
    results.set(scenario.name, await runScenario(cluster, bus, scenario, scenario.name));
    // A long one after it may be interrupted: what is known is told.
    console.log(JSON.stringify(results.get(scenario.name)));
  }
  const crowded = new Map<string, CrowdResult>();
  if (crowds.length > 0) await startNothing(cluster);
  for (const crowd of crowds) {
    console.log(`${crowd.name}: ${crowd.runners} runners of one group …`);
    crowded.set(crowd.name, await runCrowd(cluster, bus, crowd));
  }
  if (crowded.size > 0) console.log(crowdText(crowded));
  const rssMb = Object.fromEntries(
    [...usageOf(processesOf(cluster))].map(([name, { rss }]) => [name, Math.round(rss / 1024 ** 2)]),
  );
  await bus.close();
  const text = report(results, rssMb);
  if (results.size > 0) console.log(`\n${text}`);
  if (values.json) {
    const scenarios = { ...Object.fromEntries(results), ...Object.fromEntries(crowded) };
    writeFileSync(
      values.json,
      `${JSON.stringify({ scenarios, rssMb, machine: machine(), versions: versions() }, null, 2)}\n`,
    );
  }
  if (values.readme && results.size > 0) writeReadme(text);
} finally {
  await cluster.stop();
}

function report(results: ReadonlyMap<string, Result>, rssMb: Record<string, number>): string {
  const ms = (value: number): string => (value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
  const heading = [
    'scenario',
    'jobs',
    'created',
    'lost',
    'ack p50',
    'ack p99',
    'create p50',
    'create p99',
    'all created',
  ];
  const rows = [...results].map(([name, result]) => [
    name,
    String(result.jobs),
    String(result.created),
    String(result.lost),
    ms(result.ackP50Ms),
    ms(result.ackP99Ms),
    ms(result.createP50Ms),
    ms(result.createP99Ms),
    ms(result.allCreatedMs),
    `${result.cpuMsPerJob.toFixed(1)} ms`,
    String(result.historyEventsPerRunner),
    `${(result.historyBytesPerRunner / 1024).toFixed(1)} kB`,
  ]);
  return [
    textTable([[...heading, 'CPU/job', 'events', 'history'], ...rows]),
    '',
    ...[...results].map(([name, { cpuMsPerJobOf }]) => {
      const parts = Object.entries(cpuMsPerJobOf).map(([process, value]) => `${process} ${value.toFixed(1)}`);
      return `CPU of ${name} (ms a job): ${parts.join(', ')}`;
    }),
    `RSS after all of it (MB): ${Object.entries(rssMb)
      .map(([name, mb]) => `${name} ${mb}`)
      .join(', ')}`,
    `${machine()}; load average before: ${load.join(' ')}; ${DELIVERIES_AT_ONCE} deliveries at once`,
    versions(),
    TARGETS,
  ].join('\n');
}

function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() || 'processor'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`;
}

function versions(): string {
  const dependency = (name: string): string => {
    const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8');
    return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? '?';
  };
  return `Node ${process.version}, Temporal SDK ${dependency('@temporalio/worker')}, nats.js ${dependency('nats')}`;
}

/** Puts the report between the markers of the README. */
function writeReadme(text: string): void {
  const file = new URL('../../README.md', import.meta.url);
  const before = readFileSync(file, 'utf8');
  const block = `<!-- bench -->\n\n\`npm run bench -- --readme\` made this:\n\n\`\`\`text\n${text}\n\`\`\`\n\n<!-- /bench -->`;
  writeFileSync(file, before.replace(/<!-- bench -->(?:[^]*<!-- \/bench -->)?/, block));
}
