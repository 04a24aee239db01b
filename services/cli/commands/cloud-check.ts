import { resolveHooks } from '../../../activities/credentials/hook-secrets.ts';
import type { Config } from '../../../contracts/config/config.ts';
import type { InstanceTls } from '../../../contracts/messages/bootstrap-file.ts';
import type { GroupConfig } from '../../../contracts/config/group.ts';
import { toGroupSettings } from '../../../contracts/config/group-settings.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { createUserDataRenderer } from '../../../activities/backends/cloud-init/user-data.ts';
import { readInstanceTls } from '../../shared/instance-tls.ts';
import { findSecretNames } from '../lib/secret-names.ts';

/** As long as a runner's name, a NATS credential and a time can be. */
const LONGEST = { runner: 63, credentials: 2000, natsUrl: 'nats://nats.example.com:4222', authority: 1500 };
/** The assumed length of a secret that is not set here, bytes. */
const UNSET_SECRET = 128;
/** EC2's limit for user data, kB; Compute Engine's is larger. */
const MAX_USER_DATA_KB = 16;

/**
 * The size of the user data that a group's cloud instances boot with: `user data 9.1 of 16 kB`; undefined for other backends.
 *
 * @throws BatonError INSTANCE_INVALID where no instance of the group could be created
 */
export function checkCloudGroup(config: Config, group: GroupConfig): string | undefined {
  const backend = config.backends[group.backend];
  if (backend?.type !== 'ec2' && backend?.type !== 'gce') return undefined;
  const { instance } = toGroupSettings(config, group);
  if (backend.type === 'ec2' && (instance.cpu !== undefined || instance.memoryBytes !== undefined)) {
    const what = `checking group ${group.name}: on ec2 the instance type decides cpu and memory. Remove both from \`instance\``;
    throw new BatonError('INSTANCE_INVALID', what);
  }
  const render = createUserDataRenderer({
    cloud: backend.type,
    config: backend,
    agentSha256: 'f'.repeat(64),
    spot: true,
  });
  const spec = {
    ...instance,
    installation: config.name,
    group: group.name,
    runner: `${config.name}-${group.name}-`.padEnd(LONGEST.runner, 'x'),
    startBy: new Date().toISOString(),
    expiresAt: new Date(Date.now() + (group.time_to_live ?? config.time_to_live)).toISOString(),
  };
  const natsUrl = backend.nats_url ?? LONGEST.natsUrl;
  const secrets = [...findSecretNames(instance.hooks)].map((name) => [
    name,
    process.env[name] || 'x'.repeat(UNSET_SECRET),
  ]);
  const hooks = instance.hooks && resolveHooks(instance.hooks, Object.fromEntries(secrets));
  const credentials = 'x'.repeat(LONGEST.credentials);
  const text = render(spec, { natsUrl, natsTls: findInstanceTls(config), credentials, ...(hooks && { hooks }) });
  return `user data ${(Buffer.byteLength(text) / 1024).toFixed(1)} of ${MAX_USER_DATA_KB} kB`;
}

/** Where only the services' machines have the file: a certificate of the usual length. */
function findInstanceTls({ nats }: Config): InstanceTls | undefined {
  try {
    return readInstanceTls(nats.tls);
  } catch {
    return { authority: 'x'.repeat(LONGEST.authority) };
  }
}
