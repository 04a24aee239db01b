import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { describeUnless } from '../support/describe-unless.ts';
import { whyNoDocker } from '../support/docker.ts';
import { atTheForge, keepContainers, keepLocalLogs, onDisk, pages, workflows } from '../support/evidence.ts';
import type { Exhibit, Keeper } from '../support/evidence.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SecretFinder } from '../support/secret-finder.ts';
import { spyOn, type Overheard } from '../support/spy.ts';
import { until } from '../support/until.ts';

/**
 * No token, key or JIT config is in any workflow history, JetStream message, log or `docker inspect`: a run with jobs that look
 * around, a runner program that tells all it knows, and forge and instances that fail, and then everything is searched.
 */

const FOUND_ALL = 'found all there is';

/** What a job can see of its own instance, printed. Arguments of processes are left out: run.sh takes its JIT config there. */
const NOSY = String.raw`
set +e
env
for file in /proc/[0-9]*/environ; do
  # On this machine itself: its own instance's processes. In a container there are no others.
  if [ -z "$BATON_INSTANCE" ] || grep -qzFx "BATON_INSTANCE=$BATON_INSTANCE" "$file"; then tr '\0' '\n' < "$file"; fi
done 2>/dev/null
look() { find "$@" -type f -size -64k ! -name '*.mjs' -print -exec cat {} + 2>/dev/null; }
look "$(dirname "$ACTIONS_RUNNER_HOOK_JOB_STARTED")" "$(dirname "$BATON_SIGNAL_SOCKET")" "$RUNNER_WORKSPACE" "$RUNNER_TEMP"
if [ -z "$BATON_INSTANCE" ]; then look /baton /home /tmp /run /var /etc /root; fi
echo '${FOUND_ALL}'
while [ ! -e "${'${BATON_INSTANCE:-/tmp}'}/open" ]; do sleep 0.1; done
`.replace('${FOUND_ALL}', FOUND_ALL);

/** A runner program that prints its JIT config, as it is and decoded, before it does its work. */
const BLABBER = `
    - /bin/sh
    - -c
    - |
      echo "my config is $1"
      "$BATON_NODE" -e 'console.log(Buffer.from(process.argv[1], "base64").toString())' "$1"
      env
      exec ./run.sh --jitconfig "$1"
    - sh
    - '{jitconfig}'`;

interface Place {
  backend: string;
  /** Of each group. */
  group: string;
  containers: boolean;
  keep: (cluster: Cluster) => Keeper;
  /** Lets the jobs of these runners go on. */
  open: (cluster: Cluster, runners: readonly string[]) => Promise<void>;
  /** Ends an instance as a failing machine would. */
  kill: (cluster: Cluster, runner: string) => Promise<void>;
}

const local: Place = {
  backend: '{ type: local, root: ROOT/local }',
  group: 'runner: { directory: ROOT/runner }',
  containers: false,
  keep: keepLocalLogs,
  open: (cluster, runners) => {
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

const docker: Place = {
  backend: '{ type: docker, network_pool: 10.215.0.0/16, nats_url: NATS_URL }',
  group: 'instance: { image: IMAGE, memory: 256MiB, pids: 200 }',
  containers: true,
  keep: keepContainers,
  open: async (_cluster, runners) => {
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
  suite(local);
});

describeUnless(await whyNoDocker(), 'on the docker backend', () => {
  suite(docker);
});

function suite(place: Place): void {
  let cluster: Cluster;
  let sim: SimControl;
  let keeper: Keeper;
  let overheard: Overheard[];
  const exhibits: Exhibit[] = [];
  let jobs: number[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({
      backends: ['here'],
      containers: place.containers,
      logLevel: 'trace',
      simulator: { timing: { lostMs: 2000, sweepMs: 50 } },
      config: `
backends:
  here: ${place.backend}
groups:
- { name: nosy, organization: acme, labels: [nosy], backend: here, max: 4, ${place.group} }
- name: blab
  organization: acme
  labels: [blab]
  backend: here
  ${place.containers ? place.group : ''}
  runner:
    directory: ${place.containers ? '/home/runner' : 'ROOT/runner'}
    command: ${BLABBER}
`,
    });
    sim = new SimControl(cluster.sim.address);
    overheard = await spyOn(cluster);
    keeper = place.keep(cluster);
  });
  afterAll(async () => {
    keeper?.stop();
    await cluster?.stop();
  });

  it('a run in which much goes wrong', async () => {
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
    jobs = await sim.jobs({ count: 3, labels: ['nosy'], run: NOSY });
    const [killed = 0] = await sim.jobs({ labels: ['nosy'], run: 'sleep 1000' });
    const blabs = await sim.jobs({ count: 2, labels: ['blab'], run: 'exit 1' });
    const runners = await until(async () => {
      const held = await Promise.all(jobs.map((id) => sim.job(id)));
      for (const { id } of held) expect(logOf(id)).toContain(FOUND_ALL);
      return held.map(({ runner }) => runner ?? '');
    });
    const lost = await until(async () => {
      const job = await sim.job(killed);
      expect(job.status).toBe('in_progress');
      return job.runner ?? '';
    });
    await sim.untilCompleted(blabs);

    exhibits.push(...(await workflows(cluster)), ...onDisk(cluster), ...(await keeper.exhibits()));
    await place.kill(cluster, lost);
    await place.open(cluster, runners);
    await sim.untilCompleted([...jobs, killed]);
    await expectNothingLeft(cluster);
    exhibits.push(...(await workflows(cluster)), ...onDisk(cluster), ...(await keeper.exhibits()));
    exhibits.push(...(await pages(cluster)), ...atTheForge(cluster));
  });

  it('was looked at where it matters', () => {
    const all = (kind: string): string =>
      exhibits
        .filter(({ where }) => where.includes(kind))
        .map(({ content }) => Buffer.from(content).toString('latin1'))
        .join('\n');
    const names = cluster.sim.log.since(0, 'runner.online').map(({ runner }) => String(runner));
    expect(names.length).toBeGreaterThanOrEqual(6);
    const kinds = ['history of runner/', 'temporal.db', 'logs/orchestrator', 'logs/backend', "agent's log"];
    if (place.containers) kinds.push('inspect of');
    for (const kind of kinds) {
      const kept = all(kind);
      const missing = names.filter((name) => !kept.includes(name));
      expect({ kind, missing }).toEqual({ kind, missing: [] });
    }
    expect(all('jetstream')).toContain('baton.v1.');
    expect(all('log of job')).toContain('BATON_SIGNAL_SOCKET=');
    // The blabbers' output got into the agent's log and from there into a signal: masked.
    for (const kind of ["agent's log", 'history of runner/']) expect(all(kind)).toContain('my config is ***');
    const subjects = new Set(overheard.map(({ subject }) => subject.split('.').slice(0, 3).join('.')));
    for (const kind of ['webhook', 'signal', 'instance', 'register']) expect(subjects).toContain(`baton.v1.${kind}`);
  });

  it('shows every JIT config to the one who asked for it', () => {
    const configs = cluster.sim.sim.state.jitConfigs;
    const answers = overheard.filter(({ subject }) => subject.startsWith('_INBOX_')).map(({ data }) => text(data));
    // One answer was lost on its way from the forge; its config never came any further.
    const seen = configs.filter((config) => answers.some((answer) => answer.includes(config)));
    expect(seen.length).toBe(configs.length - 1);
    const finder = new SecretFinder(Object.fromEntries(seen.map((config, index) => [`config ${index}`, config])));
    expect(finder.in(answers.join('\n'))).toHaveLength(seen.length);
  });

  it('shows no secret anywhere else', () => {
    const finder = new SecretFinder(secretsOf(cluster));
    const said = overheard
      .filter(({ subject, data }) => !(subject.startsWith('_INBOX_') && text(data).includes('"jitConfig"')))
      .map(({ subject, headers, data }) => ({
        where: `message on ${subject}`,
        content: `${subject} ${headers} ${text(data)}`,
      }));
    const leaks = [...exhibits, ...said].flatMap(({ where, content }) =>
      finder.in(content).map((name) => `${name} in ${where}`),
    );
    expect(leaks).toEqual([]);
  });

  function logOf(job: number): string {
    return (cluster.sim.sim.state.jobs.get(job)?.steps ?? []).flatMap(({ log }) => log.slice(1)).join('\n');
  }
}

const text = (data: Uint8Array): string => Buffer.from(data).toString('latin1');

/** All that must not show: the services' own secrets, keys of the operator's, and all that the forge handed out. */
function secretsOf(cluster: Cluster): Record<string, string> {
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
