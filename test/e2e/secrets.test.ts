import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { describeUnless } from '../support/describe-unless.ts';
import { whyNoDocker } from '../support/docker.ts';
import {
  collectFiles,
  collectForgeData,
  collectMetrics,
  collectWorkflows,
  type Evidence,
  type EvidenceCollector,
  startContainerCollector,
  startLocalCollector,
} from '../support/evidence.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SecretFinder } from '../support/secret-finder.ts';
import { recordMessages, type RecordedMessage } from '../support/spy.ts';
import { until } from '../support/until.ts';

/**
 * No token, key or JIT config is in any workflow history, JetStream message, log or `docker inspect`. The test runs jobs that print
 * all they can read and a runner program that prints its JIT config, makes the forge and instances fail, and then searches
 * everything that was written.
 */

const FOUND_ALL = 'found all there is';

/**
 * A job that prints all it can read in its instance, but one variable: run.sh gets its JIT config in it, and what a process was
 * started with can be read by others of the same user as long as it runs.
 */
const PRINT_EVERYTHING = String.raw`
set +e
env
for file in /proc/[0-9]*/environ; do
  # On this machine only the processes of its own instance. A container has no others.
  if [ -z "$BATON_INSTANCE" ] || grep -qzFx "BATON_INSTANCE=$BATON_INSTANCE" "$file"; then
    tr '\0' '\n' < "$file" | grep -v '^ACTIONS_RUNNER_INPUT_JITCONFIG='
    tr '\0' ' ' < "$(dirname "$file")/cmdline"
  fi
done 2>/dev/null
look() { find "$@" -type f -size -64k ! -name '*.mjs' -print -exec cat {} + 2>/dev/null; }
look "$(dirname "$ACTIONS_RUNNER_HOOK_JOB_STARTED")" "$(dirname "$BATON_SIGNAL_SOCKET")" "$RUNNER_WORKSPACE" "$RUNNER_TEMP"
if [ -z "$BATON_INSTANCE" ]; then look /baton /home /tmp /run /var /etc /root; fi
echo '${FOUND_ALL}'
while [ ! -e "${'${BATON_INSTANCE:-/tmp}'}/open" ]; do sleep 0.1; done
`.replace('${FOUND_ALL}', FOUND_ALL);

/** A runner program that prints its JIT config, plain and decoded, before it runs. */
const PRINT_JIT_CONFIG = `
    - /bin/sh
    - -c
    - |
      echo "my config is $1"
      "$BATON_NODE" -e 'console.log(Buffer.from(process.argv[1], "base64").toString())' "$1"
      env
      exec ./run.sh --jitconfig "$1"
    - sh
    - '{jitconfig}'`;

interface Scenario {
  backend: string;
  /** Settings of each group. */
  group: string;
  containers: boolean;
  startCollector: (cluster: Cluster) => EvidenceCollector;
  /** Lets the jobs of these runners continue. */
  release: (cluster: Cluster, runners: readonly string[]) => Promise<void>;
  /** Ends an instance as a failing machine would. */
  kill: (cluster: Cluster, runner: string) => Promise<void>;
}

const local: Scenario = {
  backend: '{ type: local, root: ROOT/local }',
  group: 'runner: { directory: ROOT/runner }',
  containers: false,
  startCollector: startLocalCollector,
  release: (cluster, runners) => {
    for (const runner of runners) writeFileSync(join(cluster.dir, 'local', cluster.installation, runner, 'open'), '');
    return Promise.resolve();
  },
  kill: (cluster, runner) => {
    const file = join(cluster.dir, 'local', cluster.installation, runner, 'process.json');
    const { pid } = z.object({ pid: z.number() }).parse(JSON.parse(readFileSync(file, 'utf8')));
    process.kill(-pid, 'SIGKILL');
    return Promise.resolve();
  },
};

const docker: Scenario = {
  backend: '{ type: docker, network_pool: 10.215.0.0/16, nats_url: NATS_URL }',
  group: 'instance: { image: IMAGE, memory: 256MiB, pids: 200 }',
  containers: true,
  startCollector: startContainerCollector,
  release: async (_cluster, runners) => {
    for (const runner of runners) {
      const exec = await new Docker().getContainer(runner).exec({ Cmd: ['touch', '/tmp/open'] });
      await exec.start({ Detach: true });
    }
  },
  kill: async (_cluster, runner) => {
    await new Docker().getContainer(runner).kill();
  },
};

describe('on the local backend', () => {
  testScenario(local);
});

describeUnless(await whyNoDocker(), 'on the docker backend', () => {
  testScenario(docker);
});

function testScenario(scenario: Scenario): void {
  let cluster: Cluster;
  let sim: SimControl;
  let collector: EvidenceCollector;
  let messages: RecordedMessage[];
  const evidence: Evidence[] = [];
  let jobs: number[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({
      backends: ['here'],
      containers: scenario.containers,
      logLevel: 'trace',
      simulator: { timing: { lostMs: 2000, sweepMs: 50 } },
      config: `
backends:
  here: ${scenario.backend}
groups:
- { name: printer, organization: acme, labels: [printer], backend: here, max: 4, ${scenario.group} }
- name: leaky
  organization: acme
  labels: [leaky]
  backend: here
  ${scenario.containers ? scenario.group : ''}
  runner:
    directory: ${scenario.containers ? '/home/runner' : 'ROOT/runner'}
    command: ${PRINT_JIT_CONFIG}
`,
    });
    sim = new SimControl(cluster.sim.address);
    messages = await recordMessages(cluster);
    collector = scenario.startCollector(cluster);
  });
  afterAll(async () => {
    collector?.stop();
    await cluster?.stop();
  });

  it('runs jobs while the forge and an instance fail', async () => {
    const [url = ''] = cluster.ingressUrls;
    for (const signature of ['sha256=00', `sha256=${'0'.repeat(64)}`]) {
      const headers = {
        'content-type': 'application/json',
        'x-github-event': 'workflow_job',
        'x-github-delivery': crypto.randomUUID(),
        'x-hub-signature-256': signature,
      };
      expect((await fetch(`${url}/webhooks/github`, { method: 'POST', headers, body: '{}' })).status).toBe(401);
    }
    await sim.apiFault({ method: 'POST', path: 'generate-jitconfig', fault: 'status', status: 500 });
    await sim.apiFault({ method: 'POST', path: 'generate-jitconfig', fault: 'lost' });
    await sim.apiFault({ method: 'POST', path: 'generate-jitconfig', fault: 'status', status: 403 });
    jobs = await sim.jobs({ count: 3, labels: ['printer'], run: PRINT_EVERYTHING });
    const [killed = 0] = await sim.jobs({ labels: ['printer'], run: 'sleep 1000' });
    const leakyJobs = await sim.jobs({ count: 2, labels: ['leaky'], run: 'exit 1' });
    const runners = await until(async () => {
      const held = await Promise.all(jobs.map((id) => sim.job(id)));
      for (const { id } of held) {
        expect(readJobLog(id)).toContain(FOUND_ALL);
        expect(readJobLog(id), 'the arguments of processes').toMatch(/sh \S*run\.sh/);
      }
      return held.map(({ runner }) => runner ?? '');
    });
    const lost = await until(async () => {
      const job = await sim.job(killed);
      expect(job.status).toBe('in_progress');
      return job.runner ?? '';
    });
    await sim.untilCompleted(leakyJobs);

    evidence.push(...(await collectWorkflows(cluster)), ...collectFiles(cluster), ...(await collector.collect()));
    await scenario.kill(cluster, lost);
    await scenario.release(cluster, runners);
    await sim.untilCompleted([...jobs, killed]);
    await expectNothingLeft(cluster);
    evidence.push(...(await collectWorkflows(cluster)), ...collectFiles(cluster), ...(await collector.collect()));
    evidence.push(...(await collectMetrics(cluster)), ...collectForgeData(cluster));
  });

  it('leaves evidence of every runner in each kind of log and store', () => {
    const all = (kind: string): string =>
      evidence
        .filter(({ where }) => where.includes(kind))
        .map(({ content }) => Buffer.from(content).toString('latin1'))
        .join('\n');
    const names = cluster.sim.log.since(0, 'runner.online').map(({ runner }) => String(runner));
    expect(names.length).toBeGreaterThanOrEqual(6);
    const kinds = ['history of runner/', 'temporal.db', 'logs/orchestrator', 'logs/backend', "agent's log"];
    if (scenario.containers) kinds.push('inspect of');
    for (const kind of kinds) {
      const kept = all(kind);
      const missing = names.filter((name) => !kept.includes(name));
      expect({ kind, missing }).toEqual({ kind, missing: [] });
    }
    expect(all('jetstream')).toContain('baton.v1.');
    expect(all('log of job')).toContain('BATON_SIGNAL_SOCKET=');
    // What the runner program printed reached the agent's log and a signal, masked.
    for (const kind of ["agent's log", 'history of runner/']) expect(all(kind)).toContain('my config is ***');
    const subjects = new Set(messages.map(({ subject }) => subject.split('.').slice(0, 3).join('.')));
    for (const kind of ['webhook', 'signal', 'instance', 'register']) expect(subjects).toContain(`baton.v1.${kind}`);
  });

  it('sends each JIT config to the agent that asked for it', () => {
    const configs = cluster.sim.sim.state.jitConfigs;
    const answers = messages.filter(isAnswer).map(({ data }) => text(data));
    // One answer was lost on its way from the forge: its JIT config reached no service.
    const seen = configs.filter((config) => answers.some((answer) => answer.includes(config)));
    expect(seen.length).toBe(configs.length - 1);
    const finder = new SecretFinder(Object.fromEntries(seen.map((config, index) => [`config ${index}`, config])));
    expect(finder.findIn(answers.join('\n'))).toHaveLength(seen.length);
  });

  it('shows no secret in anything else that was written or sent', () => {
    const finder = new SecretFinder(listSecrets(cluster));
    const sent = messages
      .filter(({ subject, data }) => !(isAnswer({ subject }) && text(data).includes('"jitConfig"')))
      .map(({ subject, headers, data }) => ({
        where: `message on ${subject}`,
        content: `${subject} ${headers} ${text(data)}`,
      }));
    const leaks = [...evidence, ...sent].flatMap(({ where, content }) =>
      finder.findIn(content).map((name) => `${name} in ${where}`),
    );
    expect(leaks).toEqual([]);
  });

  function readJobLog(job: number): string {
    return (cluster.sim.sim.state.jobs.get(job)?.steps ?? []).flatMap(({ log }) => log.slice(1)).join('\n');
  }
}

/** To its client, or on its way there from another account. */
const isAnswer = ({ subject }: Pick<RecordedMessage, 'subject'>): boolean => /^(_INBOX_|_R_\.)/.test(subject);

const text = (data: Uint8Array): string => Buffer.from(data).toString('latin1');

/** All secrets: those of the services, the operator's keys, and what the forge issued. */
function listSecrets(cluster: Cluster): Record<string, string> {
  const [webhook = '', token = '', signingKey = ''] = cluster.secrets;
  const secrets: Record<string, string> = { 'the webhook secret': webhook, 'the forge’s token': token };
  secrets['the signing key'] = signingKey;
  const folder = join(cluster.dir, 'nats');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.nk'))) {
    secrets[`the key ${name}`] = readFileSync(join(folder, name), 'utf8').trim();
  }
  const configShape = z.object({ secret: z.string(), runnerName: z.string() });
  for (const config of cluster.sim.sim.state.jitConfigs) {
    const { secret, runnerName } = configShape.parse(JSON.parse(Buffer.from(config, 'base64').toString()));
    secrets[`the JIT config of ${runnerName}`] = config;
    secrets[`the secret of ${runnerName}`] = secret;
  }
  return secrets;
}
