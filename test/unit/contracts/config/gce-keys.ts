import type { ConfigParts } from '../../../support/a-config-file.ts';
import type { Key } from './keys.ts';

const NEEDED = {
  type: 'gce',
  ingress_url: 'http://i',
  project: 'acme-ci',
  zones: '[europe-west4-a]',
  machine_type: 'e2-standard-4',
  image: '{ family: runner }',
};
const KEYS = Object.keys(NEEDED);

/** The smallest backend, with these keys in place of its own or besides; each stands in a line of its own from line 8. */
function gce(more: Record<string, string> = {}): ConfigParts {
  const lines = Object.entries({ ...NEEDED, ...more }).filter(([, value]) => value !== '');
  return { backend: lines.map(([key, value]) => `    ${key}: ${value}`).join('\n') };
}

const toLine = (key: string): number => 8 + (KEYS.includes(key) ? KEYS.indexOf(key) : KEYS.length);

/** A key with its default and its valid and invalid values; the column of a problem is 5 unless given. */
function row(
  key: string,
  path: string,
  unset: unknown,
  valid: [text: string, parsed: unknown][],
  invalid: [text: string, message: RegExp, column?: number][],
): Key {
  return {
    path: `backends.here.${path}`,
    base: gce(),
    default: unset,
    valid: valid.map(([text, parsed]) => [gce({ [key]: text }), parsed]),
    invalid: invalid.map(([text, message, column = 5]) => [gce({ [key]: text }), toLine(key), column, message]),
  };
}

const sha256 = 'a'.repeat(64);
const GIB = 1024 ** 3;

/** The keys of the backend gce. */
export const GCE_KEYS: Key[] = [
  row('ingress_url', 'ingress_url', 'http://i', [['https://i.acme.io/', 'https://i.acme.io']], [['i', /URL/]]),
  row(
    'runner_release',
    'runner_release',
    undefined,
    [[`{ url: 'https://r/r.tar.gz', sha256: ${sha256} }`, { url: 'https://r/r.tar.gz', sha256 }]],
    [[`{ url: 'https://r/r.tar.gz', sha256: abc }`, /64 lower-case hex digits/, 50]],
  ),
  row('block_metadata', 'block_metadata', true, [['false', false]], [['maybe', /expected boolean/]]),
  row('project', 'project', 'acme-ci', [['other-project', 'other-project']], [['Acme', /project’s id/]]),
  row(
    'zones',
    'zones',
    ['europe-west4-a'],
    [['[us-central1-a, us-central1-b]', ['us-central1-a', 'us-central1-b']]],
    [
      ['[]', />=1/],
      ['[us-central1-a, us-central1-a]', /has a duplicate zone/],
      ['[us-central1]', /a zone such as/, 13],
    ],
  ),
  row('machine_type', 'machine_type', 'e2-standard-4', [['n2-highcpu-8', 'n2-highcpu-8']], [['E2', /lower-case/]]),
  row(
    'image',
    'image',
    { family: 'runner' },
    [['{ project: debian-cloud, name: debian-12-v1 }', { project: 'debian-cloud', name: 'debian-12-v1' }]],
    [['{ family: a, name: b }', /either family or name/]],
  ),
  row('disk', 'disk.type', 'pd-balanced', [['{ type: pd-ssd }', 'pd-ssd']], [['{ type: SSD }', /lower-case/, 13]]),
  row(
    'disk',
    'disk.size',
    30 * GIB,
    [['{ size: 50GiB }', 50 * GIB]],
    [['{ size: 500MiB }', /whole number of GiB/, 13]],
  ),
  row(
    'network',
    'network.network',
    undefined,
    [['{ network: ci }', 'ci']],
    [['{ network: 1 }', /expected string/, 16]],
  ),
  row(
    'network',
    'network.subnetwork',
    undefined,
    [['{ subnetwork: ci }', 'ci']],
    [['{ subnetwork: 1 }', /string/, 16]],
  ),
  row(
    'network',
    'network.external_ip',
    false,
    [['{ external_ip: true }', true]],
    [['{ external_ip: 1 }', /boolean/, 16]],
  ),
  row('network', 'network.tags', [], [['{ tags: [ci] }', ['ci']]], [['{ tags: [Ci] }', /lower-case/, 23]]),
  row(
    'service_account',
    'service_account',
    undefined,
    [
      [
        '{ email: ci@acme-ci.iam.gserviceaccount.com }',
        { email: 'ci@acme-ci.iam.gserviceaccount.com', scopes: ['https://www.googleapis.com/auth/cloud-platform'] },
      ],
    ],
    [['{ email: ci }', /email/, 24]],
  ),
  row(
    'labels',
    'labels',
    {},
    [['{ team: build }', { team: 'build' }]],
    [
      ['{ team: Build }', /lower-case/, 15],
      ['{ baton-x: a }', /baton- are reserved/],
    ],
  ),
  row(
    'shielded',
    'shielded.secure_boot',
    true,
    [['{ secure_boot: false }', false]],
    [['{ secure_boot: 0 }', /boolean/, 17]],
  ),
  row('shielded', 'shielded.vtpm', true, [['{ vtpm: false }', false]], [['{ vtpm: 0 }', /boolean/, 17]]),
  row(
    'shielded',
    'shielded.integrity_monitoring',
    true,
    [['{ integrity_monitoring: false }', false]],
    [['{ integrity_monitoring: 0 }', /boolean/, 17]],
  ),
  row('spot', 'spot', false, [['true', true]], [['1', /boolean/]]),
  row('dry_for', 'dry_for', 300_000, [['1m', 60_000]], [['1', /string/]]),
  row('poll', 'poll', 10_000, [['30s', 30_000]], [['often', /duration/]]),
  row('endpoint', 'endpoint', undefined, [['https://e.internal', 'https://e.internal']], [['e', /URL/]]),
];
