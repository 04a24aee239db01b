import type { ConfigParts } from '../../../support/a-config-file.ts';
import type { Key } from './keys.ts';

const REQUIRED = [
  'type: ec2',
  'region: eu-central-1',
  'ingress_url: https://baton.example.com',
  'image: { id: ami-0123456789abcdef0 }',
  'types: [m7i.large]',
];

/** An ec2 backend with more or other lines; a line of the same key takes the place of the smallest one's. */
function ec2(...lines: string[]): ConfigParts {
  const toKey = (line: string): string => line.split(':')[0] ?? '';
  const kept = REQUIRED.filter((line) => !lines.some((other) => toKey(other) === toKey(line)));
  return { backend: [...kept, ...lines].map((line) => `    ${line}`).join('\n') };
}

/** Without these keys. */
function without(...keys: string[]): ConfigParts {
  const kept = REQUIRED.filter((line) => !keys.some((key) => line.startsWith(`${key}:`)));
  return { backend: kept.map((line) => `    ${line}`).join('\n') };
}

const base = ec2();

/** The keys of the backend ec2. In the smallest file they stand at lines 8 to 12; what is added, below. */
export const EC2_KEYS: Key[] = [
  {
    path: 'backends.here.region',
    base,
    default: 'eu-central-1',
    valid: [[ec2('region: us-gov-west-1'), 'us-gov-west-1']],
    invalid: [[ec2('region: eu-central-1a'), 12, 5, /region such as/]],
  },
  {
    path: 'backends.here.image',
    base,
    default: { id: 'ami-0123456789abcdef0' },
    valid: [
      [ec2('image: { ssm: /acme/runner-image }'), { ssm: '/acme/runner-image' }],
      [ec2('image: { filter: { name: baton-* }, owner: self }'), { filter: { name: 'baton-*' }, owner: 'self' }],
    ],
    invalid: [
      [ec2('image: { id: debian }'), 12, 14, /ami-0123/],
      [ec2('image: { id: ami-01234567, ssm: /a }'), 12, 5, /one of id, ssm and filter/],
      [ec2('image: { filter: { name: x } }'), 12, 5, /filter and owner go together/],
      [ec2('image: { filter: { name: x }, owner: anybody }'), 12, 35, /self, amazon/],
      [without('image'), 7, 3, /give an image/],
    ],
  },
  {
    path: 'backends.here.types',
    base,
    default: ['m7i.large'],
    valid: [[ec2('types: [m7i.large, c7i.metal-24xl]'), ['m7i.large', 'c7i.metal-24xl']]],
    invalid: [
      [ec2('types: [large]'), 12, 13, /instance type such as/],
      [ec2('types: [m7i.large, m7i.large]'), 12, 5, /has a duplicate/],
      [without('types'), 7, 3, /give instance types/],
    ],
  },
  {
    path: 'backends.here.subnets',
    base,
    default: undefined,
    valid: [[ec2('subnets: [subnet-01234567]'), ['subnet-01234567']]],
    invalid: [[ec2('subnets: [default]'), 13, 15, /subnet-0123/]],
  },
  {
    path: 'backends.here.security_groups',
    base,
    default: undefined,
    valid: [[ec2('security_groups: [sg-01234567]'), ['sg-01234567']]],
    invalid: [[ec2('security_groups: [default]'), 13, 23, /sg-0123/]],
  },
  {
    path: 'backends.here.key',
    base,
    default: undefined,
    valid: [[ec2('key: ops'), 'ops']],
    invalid: [[ec2('key: ""'), 13, 5, />=1/]],
  },
  {
    path: 'backends.here.profile',
    base,
    default: undefined,
    valid: [
      [ec2('profile: runner'), 'runner'],
      [ec2('profile: arn:aws:iam::123456789012:instance-profile/r'), 'arn:aws:iam::123456789012:instance-profile/r'],
    ],
    invalid: [[ec2('profile: a b'), 13, 5, /name or ARN/]],
  },
  {
    path: 'backends.here.root',
    base,
    default: {},
    valid: [
      [
        ec2('root: { size: 60GiB, iops: 6000, throughput: 500, kms_key: alias/ci }'),
        { size: 60 * 1024 ** 3, iops: 6000, throughput: 500, kms_key: 'alias/ci' },
      ],
    ],
    invalid: [
      [ec2('root: { size: 512MiB }'), 13, 13, /whole number of GiB/],
      [ec2('root: { iops: 100 }'), 13, 13, />=3000/],
      [ec2('root: { throughput: 1 }'), 13, 13, />=125/],
      [ec2('root: { type: io2 }'), 13, 13, /unknown key "type"/],
    ],
  },
  {
    path: 'backends.here.market',
    base,
    default: 'on-demand',
    valid: [[ec2('market: spot-then-on-demand'), 'spot-then-on-demand']],
    invalid: [[ec2('market: cheap'), 13, 5, /on-demand/]],
  },
  {
    path: 'backends.here.max_price',
    base,
    default: undefined,
    valid: [[ec2('market: spot', 'max_price: 0.1'), 0.1]],
    invalid: [
      [ec2('market: spot', 'max_price: 0'), 14, 5, />0/],
      [ec2('max_price: 0.1'), 13, 5, /for spot only/],
    ],
  },
  {
    path: 'backends.here.launch_template',
    base,
    default: undefined,
    valid: [
      [
        { backend: `${without('image', 'types').backend}\n    launch_template: { name: ci1 }` },
        { name: 'ci1', version: '$Default' },
      ],
      [ec2('launch_template: { id: lt-01234567, version: "3" }'), { id: 'lt-01234567', version: '3' }],
    ],
    invalid: [
      [ec2('launch_template: { version: "3" }'), 13, 5, /either id or name/],
      [ec2('launch_template: { name: ci1, version: newest }'), 13, 35, /\$Latest/],
    ],
  },
  {
    path: 'backends.here.tags',
    base,
    default: {},
    valid: [[ec2('tags: { team: ci }'), { team: 'ci' }]],
    invalid: [[ec2('tags: { baton.runner: x }'), 13, 13, /are reserved|Invalid key/]],
  },
  {
    path: 'backends.here.dry_for',
    base,
    default: 300_000,
    valid: [[ec2('dry_for: 1m'), 60_000]],
    invalid: [[ec2('dry_for: 60'), 13, 5, /expected string|duration/]],
  },
  {
    path: 'backends.here.poll',
    base,
    default: 10_000,
    valid: [[ec2('poll: 30s'), 30_000]],
    invalid: [[ec2('poll: often'), 13, 5, /duration/]],
  },
  {
    path: 'backends.here.endpoint',
    base,
    default: undefined,
    valid: [[ec2('endpoint: http://127.0.0.1:5000'), 'http://127.0.0.1:5000']],
    invalid: [[ec2('endpoint: ftp://x'), 13, 5, /Invalid/]],
  },
];
