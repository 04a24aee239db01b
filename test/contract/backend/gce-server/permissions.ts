import { insertBody } from './instance-rules.ts';

/**
 * The IAM permissions that a call needs, by Compute Engine's reference. Those of an insert depend on its body.
 * Source: https://cloud.google.com/compute/docs/access/iam and each method's page.
 */
export function toPermissions(method: string, body: unknown): string[] {
  switch (method) {
    case 'Instances.Insert':
      return insertPermissions(body);
    case 'Instances.Get':
      return ['compute.instances.get'];
    case 'Instances.SetLabels':
      return ['compute.instances.setLabels'];
    case 'Instances.AggregatedList':
      return ['compute.instances.list'];
    case 'Instances.Delete':
      return ['compute.instances.delete'];
    case 'ZoneOperations.Get':
    case 'ZoneOperations.Wait':
      return ['compute.zoneOperations.get'];
    case 'ZoneOperations.List':
      return ['compute.zoneOperations.list'];
    default:
      return [`the permissions of ${method} are not known`];
  }
}

function insertPermissions(json: unknown): string[] {
  const parsed = insertBody.safeParse(json);
  if (!parsed.success) return ['compute.instances.create'];
  const body = parsed.data;
  const { tags } = Object(json);
  const when = (condition: boolean, ...permissions: string[]): string[] => (condition ? permissions : []);
  return [
    'compute.instances.create',
    'compute.disks.create',
    'compute.subnetworks.use',
    ...when(body.metadata.items.length > 0, 'compute.instances.setMetadata'),
    ...when(Object.keys(body.labels).length > 0, 'compute.instances.setLabels'),
    ...when(
      body.disks.some(({ initializeParams }) => 'labels' in initializeParams),
      'compute.disks.setLabels',
    ),
    ...when(Object(tags).items?.length > 0, 'compute.instances.setTags'),
    ...when(
      body.disks.some(({ initializeParams }) => initializeParams.sourceImage !== ''),
      'compute.images.useReadOnly',
    ),
    ...when(
      body.networkInterfaces.some(({ accessConfigs }) => accessConfigs.length > 0),
      'compute.subnetworks.useExternalIp',
    ),
    ...when(body.serviceAccounts.length > 0, 'compute.instances.setServiceAccount', 'iam.serviceAccounts.actAs'),
  ];
}
