import { describe, expect, it } from 'vitest';
import {
  countDropped,
  isFirst,
  toFilterNames,
  toRestoreInput,
  toRestoreInputV6,
} from '../../../../../activities/backends/docker/host-filter/rules.ts';

const CHAIN = 'BATON-0a1b2';

describe('the rules of the packet filter', () => {
  it('allow what is named, before they drop metadata services, other runners and all that is not elsewhere', () => {
    const allowed = [
      { address: '172.17.0.1', port: 4222, protocol: 'tcp' as const },
      { address: '169.254.169.254', port: 53, protocol: 'udp' as const },
    ];
    expect(toRestoreInput({ chain: CHAIN, pool: '10.213.0.0/16', allowed }).split('\n')).toEqual([
      '*raw',
      `:${CHAIN} - [0:0]`,
      `-A ${CHAIN} -d 172.17.0.1/32 -p tcp --dport 4222 -j RETURN`,
      `-A ${CHAIN} -d 169.254.169.254/32 -p udp --dport 53 -j RETURN`,
      `-A ${CHAIN} -d 169.254.0.0/16 -j DROP`,
      `-A ${CHAIN} -d 168.63.129.16/32 -j DROP`,
      `-A ${CHAIN} -d 100.100.100.200/32 -j DROP`,
      `-A ${CHAIN} -d 10.213.0.0/16 -j DROP`,
      `-A ${CHAIN} -m addrtype ! --dst-type UNICAST -j DROP`,
      'COMMIT',
      '',
    ]);
  });

  it('open the probe’s port at addresses of the machine only', () => {
    const text = toRestoreInput({ chain: CHAIN, pool: '10.213.0.0/16', allowed: [], openPort: 40_000 });
    expect(text).toContain(`-A ${CHAIN} -p tcp --dport 40000 -m addrtype --dst-type LOCAL -j RETURN\n`);
  });

  it('drop all of IPv6', () => {
    expect(toRestoreInputV6(CHAIN)).toBe(`*raw\n:${CHAIN} - [0:0]\n-A ${CHAIN} -j DROP\nCOMMIT\n`);
  });

  it('are for bridges whose names have room for eight more characters', () => {
    const { chain, bridgePrefix } = toFilterNames('0a1b2');
    expect(chain).toBe(CHAIN);
    expect(bridgePrefix).toHaveLength(7);
  });
});

describe('countDropped', () => {
  it('adds up the packets that the chain dropped, and no others', () => {
    const saved = [
      ':PREROUTING ACCEPT [9:9]',
      `[27:1536] -A PREROUTING -i bn0a1b2+ -j ${CHAIN}`,
      `[5:300] -A ${CHAIN} -d 172.17.0.1/32 -p tcp -m tcp --dport 4222 -j RETURN`,
      `[2:120] -A ${CHAIN} -d 169.254.0.0/16 -j DROP`,
      `[3:180] -A ${CHAIN} -m addrtype ! --dst-type UNICAST -j DROP`,
      '[100:1] -A BATON-fffff -d 169.254.0.0/16 -j DROP',
    ].join('\n');
    expect(countDropped(saved, CHAIN)).toBe(5);
    expect(countDropped('', CHAIN)).toBe(0);
  });
});

describe('isFirst', () => {
  const jump = `-A PREROUTING -i bn0a1b2+ -j ${CHAIN}`;
  const other = '-A PREROUTING -i bnfffff+ -j BATON-fffff';

  it.each([
    ['the first rule leads to the chain', ['-P PREROUTING ACCEPT', jump], true],
    ['only chains of other installations come before it', ['-P PREROUTING ACCEPT', other, jump], true],
    [
      'another rule could accept its packets before it',
      ['-P PREROUTING ACCEPT', '-A PREROUTING -j ACCEPT', jump],
      false,
    ],
    ['no rule leads to the chain', ['-P PREROUTING ACCEPT', other], false],
    ['nothing is listed', [], false],
  ])('where %s', (_what, lines, expected) => {
    expect(isFirst(lines.join('\n'), CHAIN)).toBe(expected);
  });
});
