import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import type { AgentWorld } from '../../support/agent.ts';
import { machineImage } from './machine.ts';
import { MachineLab, type BootOptions } from './machine-lab.ts';

/** Who reaches the metadata service on a cloud's machine, and what becomes of a machine that cannot keep it to itself. */

const SERVER = `require('http').createServer((request, response) => response.end('secret')).listen({ port: 80, host: '::' })`;

/**
 * What a cloud's network is to a machine: a metadata service behind it, over IPv4 and IPv6, that answers everyone. And a
 * container on that machine whose packets it forwards. Both are network namespaces.
 */
const NETWORK = `
set -e
# NAME NUMBER: a namespace that is connected to the machine.
connect() {
  ip netns add "$1"
  ip link add "$1" type veth peer name eth0 netns "$1"
  ip address add "10.99.$2.1/24" dev "$1"
  ip address add "fd99:$2::1/64" dev "$1" nodad
  ip link set "$1" up
  ip -n "$1" address add "10.99.$2.2/24" dev eth0
  ip -n "$1" address add "fd99:$2::2/64" dev eth0 nodad
  ip -n "$1" link set eth0 up
  ip -n "$1" link set lo up
  ip -n "$1" route add default via "10.99.$2.1"
  ip -n "$1" route add default via "fd99:$2::1"
}
connect cloud 1
connect container 2
ip -n cloud address add 169.254.169.254/32 dev lo
ip -n cloud address add fd00:ec2::254/128 dev lo nodad
ip route add 169.254.169.254/32 via 10.99.1.2
ip route add fd00:ec2::254/128 via fd99:1::2
nsenter --net=/run/netns/cloud node -e "${SERVER}" &
until curl -s -m 2 http://169.254.169.254/ >/dev/null && curl -s -m 2 'http://[fd00:ec2::254]/' >/dev/null; do sleep 0.1; done
set +e
`;

/** Prints who reaches the service: \`root 4\` is root over IPv4. */
const TRY_ALL = `
# WHO COMMAND…
try() {
  who=$1
  shift
  # The packets of a container are dropped; everybody else is refused at once.
  limit=30
  if [ "$who" = container ]; then limit=10; fi
  for address in 169.254.169.254 '[fd00:ec2::254]'; do
    if [ "$("$@" curl -s -m "$limit" "http://$address/")" = secret ]; then echo "$who $address"; fi
  done
}
try root env
try job setpriv --reuid 1002 --regid 1003 --clear-groups
try sub-uid setpriv --reuid 165536 --regid 165536 --clear-groups
try container nsenter --net=/run/netns/container`;

const both = (who: string): string[] => [`${who} 169.254.169.254`, `${who} [fd00:ec2::254]`];

/** A job that runs until the machine has the file. */
const HELD = ['sh', '-c', 'until [ -e /tmp/open ]; do sleep 0.1; done'];
const held = { program: { directory: '/nowhere', command: HELD } };

describeUnless(await whyNoDocker(), 'the metadata service of a machine', () => {
  let lab: MachineLab;
  let world: AgentWorld;
  let image: string;

  beforeAll(async () => {
    [lab, image] = await Promise.all([MachineLab.open(), machineImage('baton-test-machine')]);
    world = lab.world;
  });

  afterAll(() => lab?.close());

  /** Boots a machine in such a network, and who reaches the service while its job runs. */
  async function findReaching(options: BootOptions): Promise<string[]> {
    const before = `${NETWORK}${options.before ?? ''}`;
    const { machine, runner } = await lab.boot({ image, router: true }, { ...options, before, spec: held });
    const refused = world.signal(runner, 'exited').then(({ logTail }) => Promise.reject(new Error(logTail)));
    await Promise.race([world.signal(runner, 'online'), refused]);
    refused.catch(() => undefined);
    const found = await machine.inside(TRY_ALL);
    await machine.inside('touch /tmp/open');
    await machine.off;
    return found.trim().split('\n');
  }

  it('is reached by a job, a sub-uid and a container where `block_metadata` is false', async () => {
    const everyone = ['root', 'job', 'sub-uid', 'container'].flatMap(both);
    expect(await findReaching({ blockMetadata: false })).toEqual(everyone);
  });

  it.for([
    ['iptables', ''],
    ['nft', 'rm /usr/bin/iptables*'],
  ])('is reached by root alone where %s blocks it', async ([tool, before], context) => {
    context.skip(!existsSync(`/usr/sbin/${tool}`), `this machine has no ${tool}`);
    expect(await findReaching({ before })).toEqual(both('root'));
  });

  it.each([
    [
      'neither iptables nor nft is there',
      'rm -f /usr/bin/iptables* /usr/bin/nft',
      /neither iptables nor nft can block it/,
    ],
    [
      'both fail',
      'for tool in iptables nft; do printf "#!/bin/sh\\nexit 4\\n" >/usr/bin/$tool; done',
      /neither iptables nor nft can block it/,
    ],
    [
      'iptables has no effect',
      'printf "#!/bin/sh\\nexit 0\\n" >/usr/bin/iptables',
      /it answers although it is blocked/,
    ],
    ['IPv6 cannot be filtered', 'rm /usr/bin/ip6tables*', /ip6tables cannot block it over IPv6/],
  ])('keeps a machine from running a job where %s, and the runner says so', async (_what, before, reason) => {
    const { machine, runner } = await lab.boot({ image, router: true }, { before: `${NETWORK}${before}`, spec: held });
    const exited = await world.signal(runner, 'exited');
    expect(exited.logTail).toMatch(/^INSTANCE_UNSAFE: jobs could read this machine's metadata service: /);
    expect(exited.logTail).toMatch(reason);
    expect(await machine.off).toMatch(reason);
    expect(world.findSignals(runner).map(({ kind }) => kind)).toEqual(['exited']);
    expect(world.requests.filter((request) => request.runner === runner)).toEqual([]);
  });

  it('need not be blocked where `block_metadata` is false: such a machine runs its job without any tool', async () => {
    const command = ['sh', '-c', 'echo ran'];
    const { machine, runner } = await lab.boot(
      { image },
      {
        before: 'rm -f /usr/bin/iptables* /usr/bin/nft',
        blockMetadata: false,
        spec: { program: { directory: '/nowhere', command } },
      },
    );
    expect(await world.signal(runner, 'exited')).toMatchObject({ code: 0, logTail: 'ran\n' });
    await machine.off;
  });
});
