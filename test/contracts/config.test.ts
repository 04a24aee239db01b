import { describe, expect, test } from 'vitest';
import { ConfigError, parseConfig, type ConfigProblem } from '../../contracts/config/load.ts';
import { readSecret } from '../../contracts/config/secret.ts';

/** The smallest complete file; `SLOT`s take what a row is about. */
function file(
  parts: { top?: string; forge?: string; group?: string; backend?: string; webhook?: string } = {},
): string {
  return [
    parts.top ?? '# top',
    'forge:',
    parts.forge ?? '  token: ${TOKEN}',
    'webhook:',
    parts.webhook ?? '  secrets: ["${SECRET}"]',
    'backends:',
    '  here:',
    parts.backend ?? '    type: local',
    'groups:',
    '  - name: linux',
    '    organization: acme',
    '    labels: [linux]',
    '    backend: here',
    parts.group ?? '    # group',
    '',
  ].join('\n');
}

function read(text: string): Record<string, unknown> {
  return parseConfig(text, 'baton.yaml');
}

function problems(text: string): readonly ConfigProblem[] {
  try {
    parseConfig(text, 'baton.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((here, key) => Reflect.get(Object(here), key), value);
}

interface Row {
  /** Where it is in the parsed configuration. */
  path: string;
  /** Undefined: optional, without a default. */
  default: unknown;
  valid: [parts: Parameters<typeof file>[0], parsed: unknown][];
  invalid: [parts: Parameters<typeof file>[0], line: number, column: number, message: RegExp][];
}

const rows: Row[] = [
  {
    path: 'name',
    default: 'runner-manager',
    valid: [[{ top: 'name: ci-2' }, 'ci-2']],
    invalid: [
      [{ top: 'name: CI' }, 1, 1, /lower-case letters, digits and dashes/],
      [{ top: 'name: a-name-of-more-than-twenty-characters' }, 1, 1, /<=20/],
      [{ top: 'name: 3' }, 1, 1, /expected string/],
    ],
  },
  {
    path: 'forge.type',
    default: 'github',
    valid: [[{ forge: '  token: ${TOKEN}\n  type: github' }, 'github']],
    invalid: [[{ forge: '  token: ${TOKEN}\n  type: gitlab' }, 4, 3, /"github"/]],
  },
  {
    path: 'forge.url',
    default: 'https://github.com',
    valid: [[{ forge: '  token: ${TOKEN}\n  url: https://ghes.example' }, 'https://ghes.example']],
    invalid: [[{ forge: '  token: ${TOKEN}\n  url: ghes.example' }, 4, 3, /URL/]],
  },
  {
    path: 'forge.token',
    default: { env: 'TOKEN' },
    valid: [[{ forge: '  token: ${OTHER}' }, { env: 'OTHER' }]],
    invalid: [
      [{ forge: '  token: ghp_x' }, 3, 3, /secrets do not belong in a file: write \$\{NAME\}/],
      [{ forge: '  url: https://github.com' }, 2, 1, /give either app or token/],
    ],
  },
  {
    path: 'forge.app',
    default: undefined,
    valid: [
      [
        { forge: '  app: { id: 1, installation: 2, private_key: "${KEY}" }' },
        { id: 1, installation: 2, private_key: { env: 'KEY' } },
      ],
    ],
    invalid: [
      [{ forge: '  app: { id: 1, installation: 2, private_key: "${K}" }\n  token: ${T}' }, 2, 1, /either app or token/],
      [{ forge: '  app: { id: x, installation: 2, private_key: "${K}" }' }, 3, 10, /expected number/],
      [{ forge: '  app: { id: 1, private_key: "${K}" }' }, 3, 3, /required, but not given/],
    ],
  },
  {
    path: 'webhook.secrets',
    default: [{ env: 'SECRET' }],
    valid: [[{ webhook: '  secrets: ["${NEW}", "${OLD}"]' }, [{ env: 'NEW' }, { env: 'OLD' }]]],
    invalid: [
      [{ webhook: '  secrets: []' }, 5, 3, />=1/],
      [{ webhook: '  secrets: [hunter2]' }, 5, 13, /secrets do not belong in a file/],
    ],
  },
  {
    path: 'temporal.address',
    default: '127.0.0.1:7233',
    valid: [[{ top: 'temporal: { address: "t:7233" }' }, 't:7233']],
    invalid: [[{ top: 'temporal: { adress: "t:7233" }' }, 1, 13, /unknown key "adress"/]],
  },
  {
    path: 'temporal.namespace',
    default: 'default',
    valid: [[{ top: 'temporal: { namespace: ci }' }, 'ci']],
    invalid: [[{ top: 'temporal: { namespace: 1 }' }, 1, 13, /expected string/]],
  },
  {
    path: 'temporal.ui_url',
    default: undefined,
    valid: [[{ top: 'temporal: { ui_url: "http://t:8233" }' }, 'http://t:8233']],
    invalid: [[{ top: 'temporal: { ui_url: here }' }, 1, 13, /URL/]],
  },
  {
    path: 'temporal.tls',
    default: false,
    valid: [[{ top: 'temporal: { tls: true }' }, true]],
    invalid: [[{ top: 'temporal: { tls: maybe }' }, 1, 13, /expected boolean/]],
  },
  {
    path: 'temporal.api_key',
    default: undefined,
    valid: [[{ top: 'temporal: { api_key: "${KEY}" }' }, { env: 'KEY' }]],
    invalid: [[{ top: 'temporal: { api_key: abc }' }, 1, 13, /secrets do not belong/]],
  },
  {
    path: 'nats.url',
    default: 'nats://127.0.0.1:4222',
    valid: [[{ top: 'nats: { url: "nats://n:4222" }' }, 'nats://n:4222']],
    invalid: [[{ top: 'nats: { url: [a] }' }, 1, 9, /expected string/]],
  },
  {
    path: 'nats.credentials',
    default: undefined,
    valid: [[{ top: 'nats: { credentials: /run/baton.creds }' }, '/run/baton.creds']],
    invalid: [[{ top: 'nats: { credentials: 1 }' }, 1, 9, /expected string/]],
  },
  {
    path: 'nats.account',
    default: undefined,
    valid: [[{ top: 'nats: { account: ABC }' }, 'ABC']],
    invalid: [[{ top: 'nats: { account: 1 }' }, 1, 9, /expected string/]],
  },
  {
    path: 'nats.runner_signing_key',
    default: undefined,
    valid: [[{ top: 'nats: { runner_signing_key: "${K}" }' }, { env: 'K' }]],
    invalid: [[{ top: 'nats: { runner_signing_key: SAA }' }, 1, 9, /secrets do not belong/]],
  },
  {
    path: 'backends.here',
    default: { type: 'local', root: '.baton/local' },
    valid: [
      [
        { backend: '    type: local\n    root: /r\n    command: ["true"]' },
        { type: 'local', root: '/r', command: ['true'] },
      ],
      [
        { backend: '    type: docker\n    network_pool: 10.9.0.0/16' },
        { type: 'docker', socket: '/var/run/docker.sock', network_pool: '10.9.0.0/16' },
      ],
    ],
    invalid: [
      [{ backend: '    type: vmware' }, 8, 5, /docker|Invalid/],
      [{ backend: '    type: docker\n    network_pool: 10.9.0.0/30' }, 9, 5, /\/24 or larger/],
      [{ backend: '    type: docker\n    network_pool: ten' }, 9, 5, /IPv4 prefix/],
      [{ backend: '    type: local\n    command: []' }, 9, 5, />=1/],
    ],
  },
  {
    path: 'time_to_start',
    default: 600_000,
    valid: [[{ top: 'time_to_start: 90s' }, 90_000]],
    invalid: [[{ top: 'time_to_start: 10 minutes' }, 1, 1, /a duration such as 30s, 10m or 12h/]],
  },
  {
    path: 'time_to_live',
    default: 43_200_000,
    valid: [[{ top: 'time_to_live: 5d' }, 432_000_000]],
    invalid: [[{ top: 'time_to_live: 0h' }, 1, 1, /longer than 0/]],
  },
  {
    path: 'groups.0.repository',
    default: undefined,
    valid: [[{ group: '    repository: hello' }, 'hello']],
    invalid: [[{ group: '    repository: acme/hello' }, 14, 5, /without its owner/]],
  },
  {
    path: 'groups.0.max',
    default: 20,
    valid: [[{ group: '    max: 3' }, 3]],
    invalid: [[{ group: '    max: 0' }, 14, 5, />0/]],
  },
  {
    path: 'groups.0.min',
    default: 0,
    valid: [[{ group: '    min: 20' }, 20]],
    invalid: [
      [{ group: '    min: 21' }, 14, 5, /not be greater than max/],
      [{ group: '    min: -1' }, 14, 5, />=0/],
    ],
  },
  {
    path: 'groups.0.time_to_start',
    default: undefined,
    valid: [[{ group: '    time_to_start: 2m' }, 120_000]],
    invalid: [[{ group: '    time_to_start: soon' }, 14, 5, /a duration/]],
  },
  {
    path: 'groups.0.time_to_live',
    default: undefined,
    valid: [[{ group: '    time_to_live: 1h' }, 3_600_000]],
    invalid: [[{ group: '    time_to_live: 1' }, 14, 5, /expected string/]],
  },
  {
    path: 'groups.0.instance',
    default: { pids: 4096, user: '1001:1001' },
    valid: [
      [
        { group: '    instance: { image: "i:1", cpu: 0.5, memory: 4GiB, disk: 20GiB, pids: 9, user: "7" }' },
        { image: 'i:1', cpu: 0.5, memory: 4 * 1024 ** 3, disk: 20 * 1024 ** 3, pids: 9, user: '7' },
      ],
    ],
    invalid: [
      [{ group: '    instance: { memory: 4G }' }, 14, 17, /a size such as 512MiB or 4GiB/],
      [{ group: '    instance: { cpu: 0 }' }, 14, 17, />0/],
      [{ group: '    instance: { user: "0" }' }, 14, 17, /not root/],
      [{ group: '    instance: { gpus: 1 }' }, 14, 17, /unknown key "gpus"/],
    ],
  },
  {
    path: 'groups.0.runner',
    default: { directory: '/home/runner' },
    valid: [
      [
        { group: '    runner: { directory: /r, command: [go, "{jitconfig}"] }' },
        { directory: '/r', command: ['go', '{jitconfig}'] },
      ],
    ],
    invalid: [[{ group: '    runner: { command: run.sh }' }, 14, 15, /expected array/]],
  },
];

describe.each(rows)('$path', (row) => {
  test('default', () => {
    expect(at(read(file()), row.path)).toEqual(row.default);
  });
  test.each(row.valid)('valid %#', (parts, parsed) => {
    expect(at(read(file(parts)), row.path)).toEqual(parsed);
  });
  test.each(row.invalid)('invalid %#', (parts, line, column, message) => {
    const found = problems(file(parts));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ line, column });
    expect(found[0]?.message).toMatch(message);
  });
});

test.each([
  ['name', '  - organization: acme\n    labels: [a]\n    backend: here', /groups\[0\]\.name/],
  ['organization', '  - name: a\n    labels: [a]\n    backend: here', /groups\[0\]\.organization/],
  ['labels', '  - name: a\n    organization: acme\n    backend: here', /groups\[0\]\.labels/],
  ['backend', '  - name: a\n    organization: acme\n    labels: [a]', /groups\[0\]\.backend/],
])('a group needs %s', (_key, group, place) => {
  const text = file().replace(/ {2}- name: linux[^]*$/, group);
  expect(() => read(text)).toThrow(place);
  expect(() => read(text)).toThrow(/required, but not given/);
});

test('a backend that is not there is named beside those that are', () => {
  expect(() => read(file().replace('backend: here', 'backend: there'))).toThrow(
    'baton.yaml:13:5: groups[0].backend: there is no backend "there"; there is here',
  );
});

test('a group’s name stands once', () => {
  const twice = `${file()}  - { name: linux, organization: acme, labels: [x], backend: here }\n`;
  expect(() => read(twice)).toThrow('baton.yaml:15:7: groups[1].name: "linux" stands twice');
});

test('all problems are told at once, each with its place', () => {
  const text = file({ top: 'bogus: 1\nname: CI', group: '    max: many' });
  expect(problems(text).map(({ line, column, path }) => ({ line, column, path }))).toEqual([
    { line: 2, column: 1, path: 'name' },
    { line: 15, column: 5, path: 'groups[0].max' },
    { line: 1, column: 1, path: 'bogus' },
  ]);
});

test('broken YAML is told with its place', () => {
  expect(problems('name: [')).toMatchObject([{ line: 1 }]);
});

test('an empty file says what is needed', () => {
  expect(() => read('')).toThrow(/forge: required, but not given/);
});

test('a secret that is not set names its variable, not a value', () => {
  expect(() => readSecret({ env: 'NOT_SET' }, {})).toThrow('environment variable NOT_SET is not set');
  expect(readSecret({ env: 'SET' }, { SET: 'x' })).toBe('x');
});
