import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import type { AgentWorld } from '../../support/agent.ts';
import { bootMachine, machineImage, removeMachines, type MachineKind } from './machine.ts';
import { MachineLab } from './machine-lab.ts';

/** A bare machine with systemd and packet filter rules, as on a real image. */

const SYSTEMD = '/usr/lib/systemd/systemd';
const METADATA = '169.254.169.254';
const PROBE_LABEL = `baton.test=systemd-${process.pid}`;
const PROBE_MS = 60_000;

/** The last unit of cloud-init, and a service that answers like EC2's metadata service at its address. */
const UNITS = {
  'default.target': `
[Unit]
Requires=basic.target
Wants=cloud-final.service metadata.service
After=basic.target
AllowIsolate=yes
`,
  'cloud-final.service': `
[Unit]
After=basic.target metadata.service
Wants=metadata.service
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutSec=0
KillMode=process
ExecStart=/bin/sh /var/lib/cloud/instance/scripts/user-data
StandardOutput=journal+console
`,
  'metadata.service': `
[Service]
Type=simple
ExecStartPre=/usr/sbin/ip address add ${METADATA}/32 dev lo
ExecStart=/opt/runner/externals/node24/bin/node /etc/metadata.mjs
ExecStartPost=/bin/sh -c 'until curl -s http://${METADATA}/ >/dev/null; do sleep 0.1; done'
StandardOutput=journal+console
`,
};

/** Only IMDSv2: no answer without a token. */
const METADATA_SERVICE = `
import { createServer } from 'node:http';
createServer((request, response) => {
  const { method, url, headers } = request;
  if (method === 'PUT' && url === '/latest/api/token') response.end('TOKEN');
  else if (headers['x-aws-ec2-metadata-token'] !== 'TOKEN') response.writeHead(401).end();
  else if (url === '/latest/meta-data/spot/instance-action') response.end('{"action":"terminate","time":"2026-11-21T12:03:44Z"}');
  else response.writeHead(404).end();
}).listen(80, '${METADATA}');
`;

function image(): Promise<string> {
  return machineImage('baton-test-machine-systemd', [
    ...Object.entries(UNITS).map(([name, content]) => ({ path: `/etc/systemd/system/${name}`, content })),
    { path: '/etc/metadata.mjs', content: METADATA_SERVICE },
    // Without a machine id, the first boot would be interactive.
    { path: '/etc/machine-id', content: `${'5e7e'.repeat(8)}\n` },
  ]);
}

/** Boots a machine to find out whether that is possible here. Resolves with the reason if not. */
async function findReasonToSkip(): Promise<string | undefined> {
  const noDocker = await whyNoDocker();
  if (noDocker !== undefined) return noDocker;
  if (!existsSync(SYSTEMD)) return `there is no ${SYSTEMD}`;
  const rule = `OUTPUT -d ${METADATA} -p tcp --dport 80 -m owner --uid-owner 1 -j REJECT`;
  const script = `#!/bin/sh
iptables -w -I ${rule} && echo has iptables
nft add table inet probe && nft add chain inet probe output '{ type filter hook output priority 0; }' &&
  nft add rule inet probe output ip daddr ${METADATA} tcp dport 81 meta skuid 1 reject && echo has nft
systemctl poweroff
`;
  try {
    const [key = '', value = ''] = PROBE_LABEL.split('=');
    const machine = await bootMachine({
      image: await image(),
      systemd: { iptables: true },
      name: `baton-probe-${process.pid}`,
      userData: script,
      labels: { [key]: value },
    });
    const said = await Promise.race([machine.off, sleep(PROBE_MS, undefined)]);
    if (said === undefined) return 'systemd as the first process of a container does not power off here';
    const missing = ['iptables', 'nft'].filter((tool) => !said.includes(`has ${tool}`));
    return missing.length > 0 ? `${missing.join(' and ')} cannot block an address for a user here` : undefined;
  } catch (error) {
    return `a container with systemd cannot be started here: ${getErrorMessage(error)}`;
  } finally {
    await removeMachines(PROBE_LABEL);
  }
}

const reason = await findReasonToSkip();

describeUnless(reason, 'a bare machine with systemd', () => {
  let lab: MachineLab;
  let world: AgentWorld;
  let kind: MachineKind & Required<Pick<MachineKind, 'systemd'>>;

  beforeAll(async () => {
    lab = await MachineLab.open();
    world = lab.world;
    kind = { image: await image(), systemd: { iptables: true } };
  });

  afterAll(() => lab?.close());

  /** A spec whose runner program is this script. */
  const job = (script: string): { program: InstanceSpec['program'] } => {
    return { program: { directory: '/opt/runner', command: ['sh', '-c', script] } };
  };

  it.each(['iptables', 'nft'])(
    'runs the agent as a service whose access to the metadata service %s blocks',
    async (tool) => {
      const script = `
id -u
grep MODE /run/systemd/shutdown/scheduled
systemctl is-active baton-dead-man.timer
grep -o 'baton-agent.service$' /proc/self/cgroup | uniq
until [ -e "$BATON_INTERRUPTION" ]; do sleep 0.1; done
cat "$BATON_INTERRUPTION"; echo
curl -s -m 20 http://${METADATA}/; echo "curl $?"`;
      const { machine, runner, secrets } = await lab.boot(
        { ...kind, systemd: { iptables: tool === 'iptables' } },
        { cloud: 'ec2', spot: true, spec: job(script) },
      );
      const exited = await world.signal(runner, 'exited');
      const notice = '{"action":"terminate","time":"2026-11-21T12:03:44Z"}';
      expect(exited).toMatchObject({
        code: 0,
        logTail: `1002\nMODE=poweroff\nactive\nbaton-agent.service\n${notice}\ncurl 7\n`,
      });
      expect(await world.signal(runner, 'interrupted')).toMatchObject({ action: 'terminate' });
      const output = await machine.off;
      expect(output).toContain(`baton: machine of runner ${runner}`);
      expect(output).toContain('baton: powering off');
      for (const secret of secrets) expect(output).not.toContain(secret);
    },
  );

  it('powers itself off at the end of its time to live, even if the job ignores signals', async () => {
    const spec = job('trap "" TERM; while :; do sleep 1; done');
    const { machine } = await lab.boot(kind, { spec, settings: { BATON_TTL: '8' } });
    expect(await machine.off).toMatch(/baton: the time to live has ended\n(.*\n)*.*baton: powering off\n/);
  });

  it('powers itself off when its agent is killed', async () => {
    const { machine, runner } = await lab.boot(kind, { spec: job('sleep 600') });
    await world.signal(runner, 'online');
    await machine.inside('systemctl kill --kill-whom=main --signal=KILL baton-agent.service');
    const output = await machine.off;
    expect(output).toContain('baton: powering off');
    // systemd would wait like this if our own process ignored the shutdown.
    expect(output).not.toMatch(/Waiting for process: .*sleep/);
  });
});
