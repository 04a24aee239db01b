import type { Key } from './keys.ts';

const DOCKER = { backend: '    type: docker' };

/** The keys of the backends docker and local. */
export const BACKEND_KEYS: Key[] = [
  {
    path: 'backends.here.type',
    default: 'local',
    valid: [[DOCKER, 'docker']],
    invalid: [[{ backend: '    type: vmware' }, 8, 5, /docker|Invalid/]],
  },
  {
    path: 'backends.here.max',
    default: undefined,
    valid: [[{ backend: '    type: local\n    max: 30' }, 30]],
    invalid: [
      [{ backend: '    type: local\n    max: 0' }, 9, 5, />0/],
      [
        { backend: '    type: local\n    max: 2', group: '    min: 3' },
        9,
        5,
        /its groups require 3 idle runners \(min\), which is more than 2/,
      ],
    ],
  },
  {
    path: 'backends.here.nats_url',
    default: undefined,
    valid: [[{ backend: '    type: local\n    nats_url: nats://n:4222' }, 'nats://n:4222']],
    invalid: [[{ backend: '    type: local\n    nats_url: 4222' }, 9, 5, /expected string/]],
  },
  {
    path: 'backends.here.prices',
    default: undefined,
    valid: [
      [
        { backend: `    type: local\n    prices: { hourly: { '*': 0.02 } }` },
        { currency: 'USD', hourly: { '*': 0.02 } },
      ],
      [
        {
          backend: `    type: local\n    prices: { currency: EUR, minimum: 1m, hourly: { a: { on_demand: 0.2, spot: 0.1 } } }`,
        },
        { currency: 'EUR', minimum: 60_000, hourly: { a: { on_demand: 0.2, spot: 0.1 } } },
      ],
    ],
    invalid: [
      [{ backend: '    type: local\n    prices: { hourly: {} }' }, 9, 15, /give at least one/],
      [{ backend: '    type: local\n    prices: { hourly: { a: cheap } }' }, 9, 25, /expected number|Invalid/],
      [{ backend: '    type: local\n    prices: { currency: $, hourly: { a: 1 } }' }, 9, 15, /code such as USD/],
    ],
  },
  {
    path: 'backends.here.root',
    default: '.baton/local',
    valid: [[{ backend: '    type: local\n    root: /r' }, '/r']],
    invalid: [
      [{ backend: '    type: local\n    root: []' }, 9, 5, /expected string/],
      [{ backend: '    type: docker\n    root: /r' }, 9, 5, /unknown key "root"/],
    ],
  },
  {
    path: 'backends.here.command',
    default: undefined,
    valid: [[{ backend: '    type: local\n    command: ["true"]' }, ['true']]],
    invalid: [[{ backend: '    type: local\n    command: []' }, 9, 5, />=1/]],
  },
  {
    path: 'backends.here.socket',
    base: DOCKER,
    default: '/var/run/docker.sock',
    valid: [[{ backend: '    type: docker\n    socket: tcp://engine:2375' }, 'tcp://engine:2375']],
    invalid: [[{ backend: '    type: docker\n    socket: 2375' }, 9, 5, /expected string/]],
  },
  {
    path: 'backends.here.network_pool',
    base: DOCKER,
    default: '10.213.0.0/16',
    valid: [[{ backend: '    type: docker\n    network_pool: 10.9.0.0/16' }, '10.9.0.0/16']],
    invalid: [
      [{ backend: '    type: docker\n    network_pool: 10.9.0.0/30' }, 9, 5, /\/24 or larger/],
      [{ backend: '    type: docker\n    network_pool: ten' }, 9, 5, /IPv4 prefix/],
    ],
  },
  {
    path: 'backends.here.allow_host_access',
    base: DOCKER,
    default: false,
    valid: [[{ backend: '    type: docker\n    allow_host_access: true' }, true]],
    invalid: [
      [{ backend: '    type: docker\n    allow_host_access: 1' }, 9, 5, /expected boolean/],
      [{ backend: '    type: local\n    allow_host_access: true' }, 9, 5, /unknown key "allow_host_access"/],
    ],
  },
  {
    path: 'backends.here.allow_host_ports',
    base: DOCKER,
    default: [],
    valid: [[{ backend: '    type: docker\n    allow_host_ports: [3128, 8090]' }, [3128, 8090]]],
    invalid: [[{ backend: '    type: docker\n    allow_host_ports: [0]' }, 9, 24, />=1/]],
  },
  {
    path: 'backends.here.filter_image',
    base: DOCKER,
    default: undefined,
    valid: [[{ backend: '    type: docker\n    filter_image: baton:1' }, 'baton:1']],
    invalid: [[{ backend: '    type: docker\n    filter_image: 1' }, 9, 5, /expected string/]],
  },
];
