import type { Key } from './keys.ts';

const REFERENCES = [
  'octo-org/octo-repo/.github/workflows/build.yml@v2',
  'octo-org/octo-repo/.github/workflows/deploy.yml@d6dc6c96df4f32fa27b039f2084f576ed2c5c2a5',
  'monalisa/octo-test/.github/workflows/test.yaml@refs/heads/main',
];

/** A group in place of the smallest file's; `skip` leaves one of its keys out. */
function group(more: string, skip?: string): { group: string } {
  const keys = ['name: second', 'organization: acme', 'labels: [other]', 'backend: here'];
  return {
    group: `  - { ${[more, ...keys.filter((key) => !key.startsWith(`${skip}:`))].filter(Boolean).join(', ')} }`,
  };
}

/** The keys of groups. */
export const GROUP_KEYS: Key[] = [
  {
    path: 'groups.0.name',
    default: 'linux',
    valid: [[{}, 'linux']],
    invalid: [
      [group('name: Second', 'name'), 14, 7, /lower-case letters/],
      [group(`name: ${'x'.repeat(31)}`, 'name'), 14, 7, /<=30/],
      [group('name: linux', 'name'), 14, 7, /duplicate group name "linux"/],
      [group('', 'name'), 14, 5, /required, but not given/],
    ],
  },
  {
    path: 'groups.0.organization',
    default: 'acme',
    valid: [[{}, 'acme']],
    invalid: [[group('', 'organization'), 14, 5, /required, but not given/]],
  },
  {
    path: 'groups.0.repository',
    default: undefined,
    valid: [[{ group: '    repository: hello' }, 'hello']],
    invalid: [[{ group: '    repository: acme/hello' }, 14, 5, /without its owner/]],
  },
  {
    path: 'groups.0.repositories',
    default: undefined,
    valid: [[{ group: '    repositories: [hello, World]' }, ['hello', 'World']]],
    invalid: [
      [{ group: '    repositories: []' }, 14, 5, />=1/],
      [{ group: '    repositories: [acme/hello]' }, 14, 20, /without its owner/],
      [{ group: '    repositories: hello' }, 14, 5, /expected array/],
      [{ group: '    repositories: [a]\n    repository: a' }, 14, 5, /is for an organisation’s group/],
    ],
  },
  {
    path: 'groups.0.adopt',
    default: false,
    valid: [[{ group: '    adopt: true' }, true]],
    invalid: [
      [{ group: '    adopt: some' }, 14, 5, /expected boolean/],
      [{ group: '    adopt: true\n    repository: web' }, 14, 5, /is for an organisation/],
    ],
  },
  {
    path: 'groups.0.allow_public_repositories',
    default: true,
    valid: [[{ group: '    allow_public_repositories: false' }, false]],
    invalid: [[{ group: '    allow_public_repositories: some' }, 14, 5, /expected boolean/]],
  },
  {
    path: 'groups.0.workflows',
    default: undefined,
    valid: [
      [{ group: `    workflows: [${REFERENCES.join(', ')}]` }, REFERENCES],
      [{ group: `    workflows: "${REFERENCES.join(', ')}"` }, REFERENCES],
      [{ group: `    workflows: |\n      ${REFERENCES.join(',\n      ')}` }, REFERENCES],
      [{ group: `    workflows: ${REFERENCES[0]}` }, REFERENCES.slice(0, 1)],
    ],
    invalid: [
      [{ group: '    workflows: build.yml' }, 14, 5, /expected OWNER\/REPOSITORY\/.github\/workflows\/FILE.yml@REF/],
      [{ group: '    workflows: [o/r/.github/workflows/b.yml]' }, 14, 17, /expected OWNER\/REPOSITORY/],
      [{ group: '    workflows: ""' }, 14, 5, />=1/],
      [{ group: '    workflows: 3' }, 14, 5, /expected a list, or text separated by commas/],
      [{ group: `    repository: a\n    workflows: "${REFERENCES[0]}"` }, 15, 5, /is for an organisation’s group/],
    ],
  },
  {
    path: 'groups.0.workflow',
    default: undefined,
    valid: [[{ group: '    workflow: Nightly build' }, 'Nightly build']],
    invalid: [[{ group: '    workflow: ""' }, 14, 5, />=1/]],
  },
  {
    path: 'groups.0.labels',
    default: ['linux'],
    valid: [[{}, ['linux']]],
    invalid: [
      [group('', 'labels'), 14, 5, /required, but not given/],
      [group('labels: []', 'labels'), 14, 7, />=1/],
      [group('labels: [""]', 'labels'), 14, 16, />=1/],
      [group('labels: linux', 'labels'), 14, 7, /expected array/],
    ],
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
    path: 'groups.0.backend',
    default: 'here',
    valid: [[{}, 'here']],
    invalid: [
      [group('', 'backend'), 14, 5, /required, but not given/],
      [group('backend: there', 'backend'), 14, 7, /there is no backend "there"; there is here/],
    ],
  },
  {
    path: 'groups.0.priority',
    default: 3,
    valid: [[{ group: '    priority: 1' }, 1]],
    invalid: [
      [{ group: '    priority: 0' }, 14, 5, />=1/],
      [{ group: '    priority: 6' }, 14, 5, /<=5/],
      [{ group: '    priority: high' }, 14, 5, /expected number/],
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
    path: 'groups.0.health_check_interval',
    default: undefined,
    valid: [[{ group: '    health_check_interval: 30s' }, 30_000]],
    invalid: [[{ group: '    health_check_interval: often' }, 14, 5, /a duration/]],
  },
  {
    path: 'groups.0.instance.image',
    default: undefined,
    valid: [[{ group: '    instance: { image: "i:1" }' }, 'i:1']],
    invalid: [[{ group: '    instance: { image: "" }' }, 14, 17, />=1/]],
  },
  {
    path: 'groups.0.instance.cpu',
    default: undefined,
    valid: [[{ group: '    instance: { cpu: 0.5 }' }, 0.5]],
    invalid: [[{ group: '    instance: { cpu: 0 }' }, 14, 17, />0/]],
  },
  {
    path: 'groups.0.instance.memory',
    default: undefined,
    valid: [[{ group: '    instance: { memory: 4GiB }' }, 4 * 1024 ** 3]],
    invalid: [[{ group: '    instance: { memory: 4G }' }, 14, 17, /a size such as 512MiB or 4GiB/]],
  },
  {
    path: 'groups.0.instance.disk',
    default: undefined,
    valid: [[{ group: '    instance: { disk: 1.5TiB }' }, 1.5 * 1024 ** 4]],
    invalid: [[{ group: '    instance: { disk: 0GiB }' }, 14, 17, /larger than 0/]],
  },
  {
    path: 'groups.0.instance.pids',
    default: 4096,
    valid: [[{ group: '    instance: { pids: 9 }' }, 9]],
    invalid: [[{ group: '    instance: { pids: 1.5 }' }, 14, 17, /expected int/]],
  },
  {
    path: 'groups.0.instance.user',
    default: '1001:1001',
    valid: [[{ group: '    instance: { user: "7" }' }, '7']],
    invalid: [
      [{ group: '    instance: { user: "0" }' }, 14, 17, /not root/],
      [{ group: '    instance: { gpus: 1 }' }, 14, 17, /unknown key "gpus"/],
    ],
  },
  {
    path: 'groups.0.runner.directory',
    default: '/home/runner',
    valid: [[{ group: '    runner: { directory: /r }' }, '/r']],
    invalid: [[{ group: '    runner: { directory: 1 }' }, 14, 15, /expected string/]],
  },
  {
    path: 'groups.0.runner.command',
    default: undefined,
    valid: [[{ group: '    runner: { command: [go, "{jitconfig}"] }' }, ['go', '{jitconfig}']]],
    invalid: [[{ group: '    runner: { command: run.sh }' }, 14, 15, /expected array/]],
  },
];
