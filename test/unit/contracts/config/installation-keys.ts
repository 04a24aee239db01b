import type { Key } from './keys.ts';

const APP = '{ id: 1, installation: 2, private_key: "${KEY}" }';
const app = { id: 1, installation: 2, private_key: { env: 'KEY' } };

/** A row for an address that is not the forge's. */
function url(value: string, message: RegExp): Key['invalid'][number] {
  return [{ forge: `  token: \${TOKEN}\n  url: ${value}` }, 4, 3, message];
}

/** The keys of the installation: all but those of backends and groups. */
export const INSTALLATION_KEYS: Key[] = [
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
    path: 'version',
    default: undefined,
    valid: [[{ top: 'version: 42' }, 42]],
    invalid: [
      [{ top: 'version: 0' }, 1, 1, />0/],
      [{ top: 'version: 1.5' }, 1, 1, /expected int/],
      [{ top: 'version: "2"' }, 1, 1, /expected number/],
    ],
  },
  {
    path: 'rollback_after',
    default: 120_000,
    valid: [[{ top: 'rollback_after: 10m' }, 600_000]],
    invalid: [[{ top: 'rollback_after: never' }, 1, 1, /a duration such as 30s, 10m or 12h/]],
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
    valid: [
      [{ forge: '  token: ${TOKEN}\n  url: https://ghes.example' }, 'https://ghes.example'],
      [{ forge: '  token: ${TOKEN}\n  url: https://acme.ghe.com' }, 'https://acme.ghe.com'],
      [{ forge: '  token: ${TOKEN}\n  url: https://github.com/' }, 'https://github.com/'],
      [{ forge: '  token: ${TOKEN}\n  url: http://127.0.0.1:8080' }, 'http://127.0.0.1:8080'],
    ],
    invalid: [
      url('ghes.example', /URL: write https:/),
      url('ssh://ghes.example', /URL: write https:/),
      url('https://api.github.com', /the API.*write https:\/\/github\.com$/),
      url('https://ghes.example/api/v3', /the API.*write https:\/\/ghes\.example$/),
      url('https://ghes.example:8443/api/graphql', /the API.*write https:\/\/ghes\.example:8443$/),
      url('https://api.acme.ghe.com', /the API.*write https:\/\/acme\.ghe\.com$/),
      url('https://www.github.com', /redirects: https:\/\/github\.com$/),
      url('http://github.com', /redirects: https:\/\/github\.com$/),
      url('https://github.com/acme', /without a path; write https:\/\/github\.com;.*`organization: acme`/),
      url('https://ghes.example/acme/repo', /write https:\/\/ghes\.example;.*`organization: acme`/),
      url('"https://ghes.example/?a=b"', /without a path; write https:\/\/ghes\.example$/),
      url('https://user:secret@ghes.example', /no user or password/),
    ],
  },
  {
    path: 'forge.points_per_minute',
    default: 900,
    valid: [
      [{ forge: '  token: ${TOKEN}\n  points_per_minute: 300' }, 300],
      [{ forge: '  token: ${TOKEN}\n  points_per_minute: 0' }, 0],
    ],
    invalid: [[{ forge: '  token: ${TOKEN}\n  points_per_minute: -1' }, 4, 3, />=0/]],
  },
  {
    path: 'forge.token',
    default: { env: 'TOKEN' },
    valid: [[{ forge: '  token: ${OTHER}' }, { env: 'OTHER' }]],
    invalid: [
      [{ forge: '  token: ghp_x' }, 3, 3, /secrets do not belong in a file: write \$\{NAME\}/],
      [{ forge: '  url: https://github.com' }, 2, 1, /give one of app, apps and token/],
    ],
  },
  {
    path: 'forge.app',
    default: undefined,
    valid: [[{ forge: `  app: ${APP}` }, app]],
    invalid: [[{ forge: `  app: ${APP}\n  token: \${T}` }, 2, 1, /give one of app, apps and token/]],
  },
  {
    path: 'forge.app.id',
    base: { forge: `  app: ${APP}` },
    default: 1,
    valid: [
      [{ forge: '  app: { id: 7, installation: 2, private_key: "${K}" }' }, 7],
      [{ forge: '  app: { id: Iv23liA0, installation: 2, private_key: "${K}" }' }, 'Iv23liA0'],
      [{ forge: '  app: { id: Iv1.0a, installation: 2, private_key: "${K}" }' }, 'Iv1.0a'],
    ],
    invalid: [
      [{ forge: '  app: { id: x, installation: 2, private_key: "${K}" }' }, 3, 10, /neither the id of a GitHub App/],
      [{ forge: '  app: { id: "7", installation: 2, private_key: "${K}" }' }, 3, 10, /without quotation marks/],
      [{ forge: '  app: { id: -7, installation: 2, private_key: "${K}" }' }, 3, 10, />0/],
      [{ forge: '  app: { id: true, installation: 2, private_key: "${K}" }' }, 3, 10, /expected number .* client id/],
      [{ forge: '  app: { installation: 2, private_key: "${K}" }' }, 3, 3, /required, but not given/],
    ],
  },
  {
    path: 'forge.app.installation',
    base: { forge: `  app: ${APP}` },
    default: 2,
    valid: [[{ forge: '  app: { id: 1, installation: 8, private_key: "${K}" }' }, 8]],
    invalid: [
      [{ forge: '  app: { id: 1, private_key: "${K}" }' }, 3, 3, /required, but not given/],
      [{ forge: '  app: { id: 1, installation: -1, private_key: "${K}" }' }, 3, 17, />0/],
    ],
  },
  {
    path: 'forge.app.private_key',
    base: { forge: `  app: ${APP}` },
    default: { env: 'KEY' },
    valid: [[{ forge: '  app: { id: 1, installation: 2, private_key: "${PEM}" }' }, { env: 'PEM' }]],
    invalid: [[{ forge: '  app: { id: 1, installation: 2, private_key: MIIE }' }, 3, 34, /secrets do not belong/]],
  },
  {
    path: 'forge.app.organization',
    base: { forge: `  app: ${APP}` },
    default: undefined,
    valid: [[{ forge: '  app: { id: 1, installation: 2, private_key: "${K}", organization: Acme }' }, 'Acme']],
    invalid: [
      [
        { forge: '  app: { id: 1, installation: 2, private_key: "${K}", organization: other }' },
        11,
        5,
        /no App of the forge is for "acme"/,
      ],
    ],
  },
  {
    path: 'forge.apps',
    default: undefined,
    valid: [
      [
        { forge: `  apps:\n    - ${APP}\n    - { id: 3, installation: 4, private_key: "\${K}", organization: acme }` },
        [app, { id: 3, installation: 4, private_key: { env: 'K' }, organization: 'acme' }],
      ],
    ],
    invalid: [
      [{ forge: `  apps: []` }, 3, 3, />=1/],
      [{ forge: `  apps: [${APP}]\n  app: ${APP}` }, 2, 1, /give one of app, apps and token/],
      [{ forge: `  apps:\n    - ${APP}\n    - ${APP}` }, 5, 7, /App 1 with installation 2 is a duplicate/],
    ],
  },
  {
    path: 'webhook.url',
    default: undefined,
    valid: [
      [
        { webhook: '  secrets: ["${S}"]\n  url: https://ci.example/webhooks/github' },
        'https://ci.example/webhooks/github',
      ],
    ],
    invalid: [[{ webhook: '  secrets: ["${S}"]\n  url: ci.example' }, 6, 3, /URL/]],
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
    valid: [
      [{ top: 'temporal: { tls: true }' }, true],
      [
        { top: 'temporal: { tls: { ca: ca.pem, cert: me.pem, key: me.key, server_name: temporal } }' },
        { ca: 'ca.pem', cert: 'me.pem', key: 'me.key', server_name: 'temporal' },
      ],
    ],
    invalid: [
      [{ top: 'temporal: { tls: maybe }' }, 1, 13, /expected true, false, or a mapping of ca, cert, key and server_/],
      [{ top: 'temporal: { tls: { cert: me.pem } }' }, 1, 13, /give both cert and key, or neither/],
      [{ top: 'temporal: { tls: { cacert: me.pem } }' }, 1, 20, /unknown key "cacert"/],
      [{ top: 'temporal: { tls: { ca: 3 } }' }, 1, 20, /expected string/],
    ],
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
    path: 'nats.tls',
    default: false,
    valid: [
      [{ top: 'nats: { tls: true }' }, true],
      [
        { top: 'nats: { tls: { ca: ca.pem, cert: me.pem, key: me.key } }' },
        { ca: 'ca.pem', cert: 'me.pem', key: 'me.key' },
      ],
    ],
    invalid: [
      [{ top: 'nats: { tls: maybe }' }, 1, 9, /expected true, false, or a mapping of ca, cert and key/],
      [{ top: 'nats: { tls: { key: me.key } }' }, 1, 9, /give both cert and key, or neither/],
      [{ top: 'nats: { tls: { server_name: n } }' }, 1, 16, /unknown key "server_name"/],
    ],
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
    path: 'health_check_interval',
    default: 600_000,
    valid: [[{ top: 'health_check_interval: 1m' }, 60_000]],
    invalid: [
      [{ top: 'health_check_interval: 60' }, 1, 1, /expected string/],
      [{ top: 'health_check_interval: 500ms' }, 1, 1, /at least 1s/],
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
];
