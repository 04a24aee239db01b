import type { GceConfig } from '../../../contracts/config/gce.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { InstanceSpec, JobTags } from '../../../contracts/ports/backend.ts';
import type { InstanceResource, NetworkResource } from './compute.ts';

/** Labels on every instance and its disk: they are enough to recognise an orphan. */
export const GCE_LABELS = {
  installation: 'baton-installation',
  group: 'baton-group',
  runner: 'baton-runner',
  /** Hash of the parameters. */
  spec: 'baton-spec',
} as const;

/** The limits of a label's value. */
const MAX_LABEL = { characters: 63, bytes: 128 };

/** The job on an instance as labels: `baton-phase`, `baton-repository`, … Compute Engine accepts few characters. */
export function toJobLabels(tags: JobTags): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).map(([name, value]) => [`baton-${name}`, toLabelValue(value)]));
}

/** `Acme/Hello World` as `acme-hello-world`. */
function toLabelValue(text: string): string {
  const allowed = text.toLowerCase().replaceAll(/[^\p{Ll}\p{Lo}\p{Nd}_-]+/gu, '-');
  let characters = Array.from(allowed).slice(0, MAX_LABEL.characters);
  while (Buffer.byteLength(characters.join('')) > MAX_LABEL.bytes) characters = characters.slice(0, -1);
  return characters.join('');
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** The agent ends itself at the end of the runner's time to live; the cloud deletes the instance this much later. */
const TTL_MARGIN_S = 300;
/** Compute Engine accepts a maximum run duration of 30 seconds to 120 days. */
const MIN_TTL_S = 30;
const MAX_TTL_S = 120 * 86_400;

/** Compute Engine's names begin with a letter; other backends allow a digit. */
const NAME = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The request for a runner's instance.
 *
 * @param userData the script that the instance runs as root when it boots; holds a secret
 * @param now milliseconds since the epoch: the request holds the rest of the time to live
 * @throws BatonError INSTANCE_INVALID for a spec that Compute Engine does not allow
 */
export function toInstanceResource(
  config: GceConfig,
  spec: InstanceSpec,
  { zone, hash, userData, now }: { zone: string; hash: string; userData: string; now: number },
): InstanceResource {
  const { network, shielded, service_account: account } = config;
  if (!NAME.test(spec.runner)) {
    const message = `creating ${spec.runner}: Compute Engine’s names must begin with a letter; rename the installation`;
    throw new BatonError('INSTANCE_INVALID', message);
  }
  const labels = {
    ...config.labels,
    [GCE_LABELS.installation]: spec.installation,
    [GCE_LABELS.group]: spec.group,
    [GCE_LABELS.runner]: spec.runner,
    [GCE_LABELS.spec]: hash,
  };
  return {
    name: spec.runner,
    description: `A runner of ${spec.installation}'s group ${spec.group}`,
    machineType: `zones/${zone}/machineTypes/${toMachineType(config, spec)}`,
    labels,
    tags: { items: network.tags },
    metadata: {
      items: [
        { key: 'startup-script', value: userData },
        // Users who may log in to other machines of the project must not log in here.
        { key: 'block-project-ssh-keys', value: 'TRUE' },
      ],
    },
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          sourceImage: toSourceImage(config, spec),
          diskType: `zones/${zone}/diskTypes/${config.disk.type}`,
          diskSizeGb: String(Math.ceil((spec.diskBytes ?? config.disk.size) / GIB)),
          labels,
        },
      },
    ],
    networkInterfaces: [
      {
        ...toNetwork(config, zone),
        accessConfigs: network.external_ip ? [{ name: 'External NAT', type: 'ONE_TO_ONE_NAT' }] : [],
      },
    ],
    serviceAccounts: account === undefined ? [] : [{ email: account.email, scopes: account.scopes }],
    shieldedInstanceConfig: {
      enableSecureBoot: shielded.secure_boot,
      enableVtpm: shielded.vtpm,
      enableIntegrityMonitoring: shielded.integrity_monitoring,
    },
    scheduling: {
      // A runner boots once.
      automaticRestart: false,
      onHostMaintenance: config.spot ? 'TERMINATE' : 'MIGRATE',
      provisioningModel: config.spot ? 'SPOT' : 'STANDARD',
      instanceTerminationAction: 'DELETE',
      maxRunDuration: { seconds: String(toSecondsToLive(spec, now)) },
    },
  };
}

/** A custom type of the same family where the group sets cpu and memory. */
function toMachineType(config: GceConfig, { runner, cpu, memoryBytes }: InstanceSpec): string {
  if (cpu === undefined && memoryBytes === undefined) return config.machine_type;
  if (cpu === undefined || memoryBytes === undefined || !Number.isInteger(cpu) || memoryBytes % (256 * MIB) !== 0) {
    const message = `creating ${runner}: a custom machine needs both a whole number of cpu and memory in steps of 256 MiB`;
    throw new BatonError('INSTANCE_INVALID', message);
  }
  const family = config.machine_type.split('-')[0] ?? '';
  // The names of N1's custom types omit the family.
  return [...(family === 'n1' ? [] : [family]), 'custom', cpu, memoryBytes / MIB].join('-');
}

function toSourceImage(config: GceConfig, spec: InstanceSpec): string {
  if (spec.image !== undefined) return spec.image;
  const { project, family, name } = config.image;
  return `projects/${project ?? config.project}/global/images/${family === undefined ? name : `family/${family}`}`;
}

function toNetwork({ network: { network, subnetwork } }: GceConfig, zone: string): NetworkResource {
  const full = (kind: string, name: string): string => (name.includes('/') ? name : `${kind}/${name}`);
  const region = zone.slice(0, zone.lastIndexOf('-'));
  if (subnetwork === undefined) return { network: full('global/networks', network ?? 'default') };
  return {
    ...(network === undefined ? {} : { network: full('global/networks', network) }),
    subnetwork: full(`regions/${region}/subnetworks`, subnetwork),
  };
}

function toSecondsToLive({ expiresAt }: InstanceSpec, now: number): number {
  const left = Math.ceil((new Date(expiresAt).getTime() - now) / 1000) + TTL_MARGIN_S;
  return Math.min(MAX_TTL_S, Math.max(MIN_TTL_S, left));
}
