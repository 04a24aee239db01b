import { z } from 'zod';
import { gceInvalid, gceNotFound } from './errors.ts';

const MIN_DISK_GIB = 10;

/** The fields of a request for an instance that the server uses; the schema has checked its shape. */
export const insertBody = z.looseObject({
  name: z.string(),
  machineType: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  metadata: z.object({ items: z.array(z.object({ key: z.string(), value: z.string() })).default([]) }).prefault({}),
  disks: z.array(
    z.looseObject({
      boot: z.boolean().default(false),
      initializeParams: z
        .looseObject({
          sourceImage: z.string().default(''),
          diskType: z.string().default(''),
          diskSizeGb: z.coerce.number().default(10),
        })
        .prefault({}),
    }),
  ),
  networkInterfaces: z.array(
    z.looseObject({
      network: z.string().optional(),
      subnetwork: z.string().optional(),
      accessConfigs: z.array(z.looseObject({})).default([]),
    }),
  ),
  serviceAccounts: z.array(z.looseObject({ email: z.string() })).default([]),
  scheduling: z
    .looseObject({
      provisioningModel: z.string().default('STANDARD'),
      automaticRestart: z.boolean().default(true),
      onHostMaintenance: z.string().default('MIGRATE'),
      instanceTerminationAction: z.string().optional(),
      maxRunDuration: z.object({ seconds: z.coerce.number() }).optional(),
    })
    .prefault({}),
});

export type InsertBody = z.infer<typeof insertBody>;

/** The body of a request that replaces labels. */
export const labelsBody = z.object({ labels: z.record(z.string(), z.string()), labelFingerprint: z.string() });

/** The resources that exist in this cloud. */
export const CATALOGUE = {
  machineTypes: /^(e2|n2|n1|c3)-(standard|highcpu|highmem)-\d+$|^((e2|n2)-)?custom-\d+-\d+$|^e2-(micro|small|medium)$/,
  diskTypes: /^(pd-standard|pd-balanced|pd-ssd)$/,
  images: /^projects\/(debian-cloud|acme-ci)\/global\/images\/(family\/)?(debian-12|runner|runner-v1)$/,
  networks: /^(global|projects\/acme-ci\/global)\/networks\/(default|ci)$/,
  subnetworks: /^(projects\/acme-ci\/)?regions\/[a-z0-9-]+\/subnetworks\/ci$/,
};

/** Checks the documented rules for a new instance that its schema does not express. */
export function checkInsert(body: InsertBody, zone: string): void {
  const wrong = (field: string, value: unknown, why: string): never => {
    throw gceInvalid(`Invalid value for field 'resource.${field}': '${String(value)}'. ${why}`);
  };
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(body.name)) {
    wrong('name', body.name, "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'");
  }
  const [, ofZone, type = ''] = /^zones\/([^/]+)\/machineTypes\/([^/]+)$/.exec(body.machineType) ?? [];
  if (ofZone !== zone) wrong('machineType', body.machineType, 'The URL is malformed or of another zone.');
  if (!CATALOGUE.machineTypes.test(type)) throw gceNotFound(body.machineType);
  checkLabels(body.labels, wrong);
  for (const { key, value } of body.metadata.items) {
    if (Buffer.byteLength(value) > 262_144) wrong('metadata', key, 'Metadata value too large.');
  }
  const boots = body.disks.filter(({ boot }) => boot);
  if (boots.length !== 1) wrong('disks', '', 'Exactly one boot disk must be given.');
  for (const { initializeParams: disk } of boots) {
    if (!CATALOGUE.images.test(disk.sourceImage)) throw gceNotFound(disk.sourceImage);
    const [, diskZone, diskType = ''] = /^zones\/([^/]+)\/diskTypes\/([^/]+)$/.exec(disk.diskType) ?? [];
    if (diskZone !== zone || !CATALOGUE.diskTypes.test(diskType)) throw gceNotFound(disk.diskType);
    if (disk.diskSizeGb < MIN_DISK_GIB)
      wrong('disks[0].initializeParams.diskSizeGb', disk.diskSizeGb, 'Smaller than the image.');
  }
  for (const { network, subnetwork } of body.networkInterfaces) {
    if (network !== undefined && !CATALOGUE.networks.test(network)) throw gceNotFound(network);
    if (subnetwork !== undefined && !CATALOGUE.subnetworks.test(subnetwork)) throw gceNotFound(subnetwork);
  }
  checkScheduling(body.scheduling, wrong);
}

/** Checks the documented rules for labels: their number, characters and length. */
export function checkLabels(
  labels: Record<string, string>,
  wrong: (field: string, value: unknown, why: string) => never,
): void {
  if (Object.keys(labels).length > 64) wrong('labels', '', 'Too many labels.');
  for (const [key, value] of Object.entries(labels)) {
    if (!/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key)) wrong('labels', key, 'Label key is invalid.');
    if (!/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value) || Buffer.byteLength(value) > 128) {
      wrong('labels', value, 'Label value is invalid.');
    }
  }
}

function checkScheduling(
  scheduling: InsertBody['scheduling'],
  wrong: (field: string, value: unknown, why: string) => never,
): void {
  const { provisioningModel, automaticRestart, onHostMaintenance, instanceTerminationAction, maxRunDuration } =
    scheduling;
  const spot = provisioningModel === 'SPOT';
  if (spot && automaticRestart)
    wrong('scheduling.automaticRestart', true, 'Spot instances can’t restart automatically.');
  if (spot && onHostMaintenance !== 'TERMINATE') {
    wrong('scheduling.onHostMaintenance', onHostMaintenance, 'Spot instances can only be terminated.');
  }
  const limited = maxRunDuration !== undefined;
  if (instanceTerminationAction !== undefined && !spot && !limited) {
    wrong('scheduling.instanceTerminationAction', instanceTerminationAction, 'Only for Spot or limited run time.');
  }
  if (limited && instanceTerminationAction === undefined) {
    wrong('scheduling.instanceTerminationAction', '', 'Must be given with maxRunDuration.');
  }
  if (limited && (maxRunDuration.seconds < 30 || maxRunDuration.seconds > 10_368_000)) {
    wrong('scheduling.maxRunDuration.seconds', maxRunDuration.seconds, 'Must be between 30 and 10368000.');
  }
}
