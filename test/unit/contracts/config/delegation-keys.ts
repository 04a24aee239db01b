import type { Key } from './keys.ts';

const KEY = 'A'.repeat(43);
const GROUP = '    labels: [team, ephemeral, container]';

/** A `delegation:` on one line, in place of what stands at the top. */
function delegation(more = '', proxies = '{ names: [p], labels: [linux], group: linux }'): { top: string } {
  return { top: `delegation: { token_keys: [${KEY}], proxies: [${proxies}]${more} }` };
}

/** The group that the smallest file has, able to serve delegations: its labels stand a line higher than a part can. */
const BASE = { ...delegation('', '{ names: [p], labels: [team], group: serving }'), group: serving() };

function serving(labels = GROUP): string {
  return ['    # group', '  - name: serving', '    organization: acme', labels, '    backend: here'].join('\n');
}

const PROXIES = '{ names: [p], labels: [team], group: serving }';

/** The keys of delegation. */
export const DELEGATION_KEYS: Key[] = [
  {
    path: 'delegation.token_keys',
    base: BASE,
    default: [KEY],
    valid: [[{ top: `delegation: { token_keys: [${KEY}, ${KEY}], proxies: [${PROXIES}] }` }, [KEY, KEY]]],
    invalid: [[{ top: `delegation: { token_keys: [short], proxies: [${PROXIES}] }` }, 1, 28, /a public key as/]],
  },
  {
    path: 'delegation.requests_per_minute',
    base: BASE,
    default: 600,
    valid: [[delegation(', requests_per_minute: 60', PROXIES), 60]],
    invalid: [[delegation(', requests_per_minute: 0', PROXIES), 1, 133, />0/]],
  },
  {
    path: 'delegation.wait_for_runner',
    base: BASE,
    default: 1_800_000,
    valid: [[delegation(', wait_for_runner: 5m', PROXIES), 300_000]],
    invalid: [[delegation(', wait_for_runner: 5', PROXIES), 1, 133, /expected string/]],
  },
  {
    path: 'delegation.proxies',
    base: BASE,
    default: [{ names: ['p'], labels: ['team'], group: 'serving' }],
    valid: [
      [
        delegation('', '{ names: [p, q], labels: [team], group: serving }'),
        [{ names: ['p', 'q'], labels: ['team'], group: 'serving' }],
      ],
    ],
    invalid: [
      [delegation('', '{ names: [p, p], labels: [team], group: serving }'), 1, 86, /duplicate proxy name "p"/],
      [delegation('', '{ names: [p], labels: [team], group: missing }'), 1, 114, /there is no group "missing"/],
      [delegation('', '{ names: [p], labels: [other], group: serving }'), 1, 115, /add to the labels.*other/],
      [{ group: serving('    labels: [team]') }, 1, 114, /add to the labels of group "serving": ephemeral, container/],
      [delegation('', `${PROXIES}, { names: [q], labels: [team], group: serving }`), 1, 162, /serves other proxies/],
    ],
  },
];
