import type { Key } from './keys.ts';

/** The keys of the servers for HTTP. */
export const INGRESS_KEYS: Key[] = [
  {
    path: 'ingress.trusted_proxies',
    default: [],
    valid: [
      [
        { top: 'ingress: { trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1] }' },
        ['10.0.0.0/8', 'fd00::/8', '192.0.2.1'],
      ],
    ],
    invalid: [
      [{ top: 'ingress: { trusted_proxies: [proxy.example.org] }' }, 1, 30, /a network such as 10\.0\.0\.0\/8/],
      [{ top: 'ingress: { trusted_proxies: [10.0.0.0/33] }' }, 1, 30, /a network such as 10\.0\.0\.0\/8/],
    ],
  },
  {
    path: 'admin.password_hash',
    default: undefined,
    valid: [[{ top: 'admin: { password_hash: "${HASH}" }' }, { env: 'HASH' }]],
    invalid: [[{ top: 'admin: { password_hash: "scrypt:1:2:3" }' }, 1, 10, /secrets do not belong in a file/]],
  },
  {
    path: 'admin.metrics_token',
    default: undefined,
    valid: [[{ top: 'admin: { metrics_token: "${TOKEN}" }' }, { env: 'TOKEN' }]],
    invalid: [[{ top: 'admin: { metrics_token: abc }' }, 1, 10, /secrets do not belong in a file/]],
  },
  {
    path: 'admin.hosts',
    default: [],
    valid: [[{ top: 'admin: { hosts: [status.example.org] }' }, ['status.example.org']]],
    invalid: [[{ top: 'admin: { hosts: ["https://status.example.org"] }' }, 1, 18, /a host name in lower case/]],
  },
];
