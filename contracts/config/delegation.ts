import { z } from 'zod';
import { duration } from './duration.ts';
import { name, type GroupConfig } from './group.ts';

/** Labels that every runner for delegations needs, besides those that jobs ask for. */
export const DELEGATION_LABELS = ['ephemeral', 'container'] as const;

const proxies = z.strictObject({
  names: z.array(name(60)).min(1).describe('The proxies’ names on the forge.'),
  labels: z
    .array(z.string().min(1))
    .min(1)
    .max(100)
    .describe('Their own labels, which jobs ask for. Removed while the proxies step aside.'),
  group: z.string().min(1).describe('Group whose runners do their jobs. It takes no other jobs.'),
});

/** Proxy runners that hand their jobs to the ephemeral runners of a group. */
export const delegationConfig = z.strictObject({
  token_keys: z
    .array(z.string().regex(/^[\w-]{43}$/, 'expected a public key as `baton proxy key` prints it'))
    .min(1)
    .describe('Public keys of proxies’ tokens (`baton proxy key`), all valid at once.'),
  requests_per_minute: z
    .number()
    .int()
    .positive()
    .default(600)
    .describe('Requests a minute that one proxy may send to one ingress.'),
  wait_for_runner: duration.prefault('30m').describe('How long a delegation waits for an ephemeral runner.'),
  proxies: z.array(proxies).min(1).describe('Proxies, and the groups that do their jobs.'),
});

export type DelegationConfig = z.infer<typeof delegationConfig>;
export type ProxiesConfig = DelegationConfig['proxies'][number];

interface WithDelegation {
  delegation?: DelegationConfig | undefined;
}

/** The configuration of a proxy and of those configured with it; undefined where there is no proxy of that name. */
export function findProxiesConfig({ delegation }: WithDelegation, proxy: string): ProxiesConfig | undefined {
  return delegation?.proxies.find(({ names }) => names.includes(proxy));
}

/** Whether that group serves delegations: then jobs are not matched to it by labels. */
export function servesDelegation({ delegation }: WithDelegation, group: string): boolean {
  return delegation?.proxies.some((entry) => entry.group === group) ?? false;
}

/** Problems between the keys of the delegation's section and the groups, each with its path. */
export function findDelegationProblems(
  delegation: DelegationConfig,
  groups: readonly GroupConfig[],
): { path: (string | number)[]; message: string }[] {
  const problems: { path: (string | number)[]; message: string }[] = [];
  const names = new Set<string>();
  const targets = new Set<string>();
  delegation.proxies.forEach((entry, index) => {
    const at = ['delegation', 'proxies', index];
    for (const proxy of entry.names) {
      if (names.has(proxy)) problems.push({ path: [...at, 'names'], message: `duplicate proxy name "${proxy}"` });
      names.add(proxy);
    }
    const group = groups.find((candidate) => candidate.name === entry.group);
    if (group === undefined) {
      problems.push({ path: [...at, 'group'], message: `there is no group "${entry.group}"` });
      return;
    }
    if (targets.has(group.name)) {
      problems.push({ path: [...at, 'group'], message: `group "${group.name}" serves other proxies already` });
    }
    targets.add(group.name);
    const has = new Set(group.labels.map((label) => label.toLowerCase()));
    const missing = [...DELEGATION_LABELS, ...entry.labels].filter((label) => !has.has(label.toLowerCase()));
    if (missing.length > 0) {
      const list = missing.join(', ');
      problems.push({ path: [...at, 'group'], message: `add to the labels of group "${group.name}": ${list}` });
    }
  });
  return problems;
}
