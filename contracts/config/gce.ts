import { z } from 'zod';
import { byteSize, duration } from './duration.ts';
import { cloudCommon } from './cloud.ts';

/** Names of Compute Engine's resources (RFC 1035). */
const resourceName = z
  .string()
  .regex(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/, 'expected 1 to 63 lower-case letters, digits and dashes, a letter first');

const projectId = z
  .string()
  .regex(/^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/, 'expected a project’s id, such as acme-ci');

const zone = z.string().regex(/^[a-z]+-[a-z]+\d+-[a-z0-9]+$/, 'expected a zone such as europe-west4-a');

const labelKey = z
  .string()
  .regex(/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u, 'expected at most 63 lower-case letters, digits, - and _');

const labelValue = z
  .string()
  .regex(/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u, 'expected at most 63 lower-case letters, digits, - and _');

const image = z
  .strictObject({
    project: projectId.optional().describe('Project of the image. Default: that of the instances.'),
    family: resourceName.optional().describe('Newest image of this family.'),
    name: resourceName.optional().describe('Exactly this image.'),
  })
  .refine((given) => (given.family === undefined) !== (given.name === undefined), 'give either family or name');

const disk = z.strictObject({
  type: resourceName.default('pd-balanced').describe('Type of the boot disk.'),
  size: byteSize
    .refine((bytes) => bytes % 1024 ** 3 === 0, 'must be a whole number of GiB')
    .prefault('30GiB')
    .describe('Size of the boot disk. A group’s `instance.disk` comes first.'),
});

const network = z.strictObject({
  network: z.string().min(1).optional().describe('A name, or projects/P/global/networks/NAME. Default: `default`.'),
  subnetwork: z
    .string()
    .min(1)
    .optional()
    .describe('A name in the zone’s region, or projects/P/regions/R/subnetworks/NAME.'),
  external_ip: z.boolean().default(false).describe('Without one, instances need Cloud NAT to reach the forge.'),
  tags: z.array(resourceName).max(64).default([]).describe('Network tags for firewall rules.'),
});

const serviceAccount = z.strictObject({
  email: z.email().describe('Address of the service account.'),
  scopes: z
    .array(z.url())
    .min(1)
    .prefault(['https://www.googleapis.com/auth/cloud-platform'])
    .describe('Rights of the account that the machine may use.'),
});

const shielded = z.strictObject({
  secure_boot: z.boolean().default(true).describe('Boots signed software only.'),
  vtpm: z.boolean().default(true).describe('Gives it a virtual TPM.'),
  integrity_monitoring: z.boolean().default(true).describe('Compares each boot with the first.'),
});

export const gceBackend = z
  .strictObject({
    type: z.literal('gce').describe('Kind of the backend.'),
    ...cloudCommon,
    project: projectId.describe('Where instances are created.'),
    zones: z
      .array(zone)
      .min(1)
      .max(20)
      .refine((zones) => new Set(zones).size === zones.length, 'has a duplicate zone')
      .describe('Zones, in the order to try. One without capacity is last for `dry_for`.'),
    machine_type: resourceName.describe(
      'Machine type, such as `e2-standard-4`. A group’s `cpu` and `memory` make a custom one of its family.',
    ),
    image: image.describe('Image of the instances. A group’s `instance.image` (a full path) comes first.'),
    disk: disk.prefault({}).describe('The boot disk, which ends with its instance.'),
    network: network.prefault({}).describe('The one network interface.'),
    service_account: serviceAccount
      .optional()
      .describe('Identity of the machine. Default: none, which is best for untrusted code.'),
    labels: z
      .record(labelKey, labelValue)
      .refine((labels) => Object.keys(labels).length <= 56, 'at most 56 labels: Baton adds its own')
      // It could replace one of Baton's labels, by which instances are found.
      .refine(
        (labels) => !Object.keys(labels).some((key) => key.startsWith('baton-')),
        'labels that begin with baton- are reserved',
      )
      .default({})
      .describe('More labels for instances and disks.'),
    shielded: shielded.prefault({}).describe('Shielded VM.'),
    spot: z.boolean().default(false).describe('Cheaper machines that may be taken back during a job.'),
    dry_for: duration.prefault('5m').describe('How long a zone that had no capacity is tried last.'),
    poll: duration.prefault('10s').describe('Time between two lists of instances; a lost one is noticed that late.'),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Address instead of https://compute.googleapis.com.'),
  })
  .describe('Virtual machines of Google Compute Engine; credentials are found by Google’s own library.');

export type GceConfig = z.infer<typeof gceBackend>;
