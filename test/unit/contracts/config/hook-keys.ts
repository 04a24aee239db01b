import type { Key } from './keys.ts';

/** The keys of a group's hooks and wrappers. */
export const HOOK_KEYS: Key[] = [
  {
    path: 'groups.0.env',
    default: {},
    valid: [
      [
        { group: '    env: { A: text, B: 2, C: "${A_SECRET}", D: true }' },
        { A: 'text', B: '2', C: { env: 'A_SECRET' }, D: 'true' },
      ],
    ],
    invalid: [
      [{ group: '    env: { GITHUB_SHA: x }' }, 14, 12, /the forge’s runner or Baton sets it/],
      [{ group: '    env: { PATH: x }' }, 14, 12, /use `path` for PATH/],
      [{ group: '    env: { 1A: x }' }, 14, 12, /not beginning with a digit/],
    ],
  },
  {
    path: 'groups.0.path',
    default: [],
    valid: [[{ group: '    path: [/opt/bin]' }, ['/opt/bin']]],
    invalid: [[{ group: '    path: [bin]' }, 14, 12, /an absolute path/]],
  },
  {
    path: 'groups.0.notice',
    default: [],
    valid: [
      [{ group: '    notice: use linux-v2' }, ['use linux-v2']],
      [{ group: '    notice: [one, two]' }, ['one', 'two']],
    ],
    invalid: [[{ group: '    notice: 7' }, 14, 5, /Invalid input/]],
  },
  {
    path: 'groups.0.hooks.policy',
    default: 'lenient',
    valid: [[{ group: '    hooks: { policy: strict }' }, 'strict']],
    invalid: [[{ group: '    hooks: { policy: harsh }' }, 14, 14, /"lenient"\|"strict"/]],
  },
  {
    path: 'groups.0.hooks.timeout',
    default: 60_000,
    valid: [[{ group: '    hooks: { timeout: 5s }' }, 5000]],
    invalid: [[{ group: '    hooks: { timeout: 5 }' }, 14, 14, /expected string/]],
  },
  {
    path: 'groups.0.hooks.started',
    default: undefined,
    valid: [[{ group: '    hooks: { started: /opt/hooks/started.sh }' }, '/opt/hooks/started.sh']],
    invalid: [
      [{ group: '    hooks: { started: started.sh }' }, 14, 14, /absolute path/],
      [{ group: '    hooks: { started: C:/hooks/started.ps1 }' }, 14, 14, /not one of PowerShell/],
    ],
  },
  {
    path: 'groups.0.hooks.completed',
    default: undefined,
    valid: [[{ group: '    hooks: { completed: /opt/hooks/completed.sh }' }, '/opt/hooks/completed.sh']],
    invalid: [[{ group: '    hooks: { completed: ./completed.sh }' }, 14, 14, /absolute path/]],
  },
  {
    path: 'groups.0.hooks.shell',
    default: undefined,
    valid: [[{ group: '    hooks: { shell: pwsh }' }, 'pwsh']],
    invalid: [[{ group: '    hooks: { shell: zsh }' }, 14, 14, /"sh"\|"pwsh"/]],
  },
  {
    path: 'groups.0.wrappers',
    default: [],
    valid: [
      [
        { group: '    wrappers: [signal, resource-usage, { uses: /opt/a, with: { key: "${KEY}" }, timeout: 5s }]' },
        [
          { uses: 'signal', with: {}, env: {}, required: false },
          { uses: 'resource-usage', with: {}, env: {}, required: false },
          { uses: '/opt/a', with: { key: { env: 'KEY' } }, env: {}, timeout: 5000, required: false },
        ],
      ],
      [
        { group: '    wrappers: [{ uses: /opt/a, required: true }]' },
        [{ uses: '/opt/a', with: {}, env: {}, required: true }],
      ],
    ],
    invalid: [
      [{ group: '    wrappers: [actions/checkout]' }, 14, 16, /resource-usage, .* or the absolute path/],
      [{ group: '    wrappers: [{ uses: /a, in: 1 }]' }, 14, 28, /unknown key|Unrecognized key: "in"/],
      [{ group: '    wrappers: [{ uses: /a, required: 1 }]' }, 14, 28, /expected boolean/],
      [{ group: '    wrappers: [/opt/a, signal]' }, 14, 24, /always first in and last out/],
      [{ group: '    wrappers: [{ uses: /a, id: x }, { uses: /b, id: x }]' }, 14, 5, /duplicate id "x"/],
    ],
  },
];
