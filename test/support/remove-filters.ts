import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/** The address ranges of test networks on Docker, but that of the packet filter's own test, which looks at its rules. */
const TEST_POOL = /-d 10\.21[3-9]\.0\.0\/16 /;

/**
 * Removes the packet filters of test installations that have no bridge any more. An installation leaves its filter on the engine's
 * machine: it cannot know whether another one still needs the same rules. Does nothing without root or iptables.
 *
 * @param rule in the filters to remove
 */
export function removeTestFilters(rule = TEST_POOL): void {
  if (process.getuid?.() !== 0) return;
  const rules = list('iptables');
  const bridges = readdirSync('/sys/class/net');
  for (const [, key = ''] of rules.matchAll(/^-N BATON-(\w+)$/gm)) {
    const own = rules.split('\n').filter((one) => one.startsWith(`-A BATON-${key} `));
    if (!own.some((one) => rule.test(one)) || bridges.some((name) => name.startsWith(`bn${key}`))) continue;
    for (const program of ['iptables', 'ip6tables']) remove(program, key);
  }
}

function list(program: string): string {
  try {
    return execFileSync(program, ['-w', '-t', 'raw', '-S'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

function remove(program: string, key: string): void {
  const jumps = list(program)
    .split('\n')
    .filter((rule) => rule.startsWith('-A PREROUTING ') && rule.endsWith(` -j BATON-${key}`))
    .map((rule) => rule.replace('-A', '-D').split(' '));
  for (const args of [...jumps, ['-F', `BATON-${key}`], ['-X', `BATON-${key}`]]) {
    try {
      execFileSync(program, ['-w', '-t', 'raw', ...args], { stdio: 'ignore' });
    } catch {
      // Another run of the tests removed it at the same time, or uses it again.
    }
  }
}
