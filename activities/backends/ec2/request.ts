import { createHash } from 'node:crypto';
import type { RunInstancesCommandInput, Tag } from '@aws-sdk/client-ec2';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { InstanceSpec, JobTags } from '../../../contracts/ports/backend.ts';
import type { Ec2Image } from './image.ts';
import type { Placement } from './placements.ts';

const GIB = 1024 ** 3;

/** Tags on every created resource: they are enough to recognise an orphan. */
export const TAGS = {
  installation: 'baton.installation',
  group: 'baton.group',
  runner: 'baton.runner',
  /** Hash of the parameters. */
  spec: 'baton.spec',
  /** Set before Baton terminates it: its end is then not reported as a death. */
  removed: 'baton.removed',
} as const;

/** Characters in a tag's value. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html */
const MAX_TAG_LENGTH = 256;

export interface RunOrder {
  spec: InstanceSpec;
  hash: string;
  placement: Placement;
  /** Undefined where the launch template names one. */
  image: Ec2Image | undefined;
  userData: string;
  token: string;
}

/**
 * The idempotency token for one runner's instance at one placement. EC2 stores a token with all parameters of its first
 * request, even of one that failed: a request with other parameters needs another `generation`.
 */
export function toClientToken(spec: InstanceSpec, placement: Placement, generation: number): string {
  const parts = [spec.installation, spec.runner, placement.type, placement.subnet, placement.market, generation];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The request for a runner's instance. */
export function toRunRequest(config: Ec2Config, order: RunOrder): RunInstancesCommandInput {
  const { placement, image, token, spec } = order;
  const tags = toTags(config, order);
  return {
    MinCount: 1,
    MaxCount: 1,
    ClientToken: token,
    UserData: Buffer.from(order.userData).toString('base64'),
    // The machine powers itself off at its end, whatever happens; that must also terminate it.
    InstanceInitiatedShutdownBehavior: 'terminate',
    // A container on the machine is one hop further.
    MetadataOptions: {
      HttpTokens: 'required',
      HttpEndpoint: 'enabled',
      HttpProtocolIpv6: 'disabled',
      HttpPutResponseHopLimit: 1,
    },
    TagSpecifications: [
      { ResourceType: 'instance', Tags: tags },
      { ResourceType: 'volume', Tags: tags },
    ],
    ...(image && { ImageId: image.id, BlockDeviceMappings: [toRootVolume(config, spec, image)] }),
    ...(placement.type && { InstanceType: toInstanceType(placement.type) }),
    ...(placement.subnet && { SubnetId: placement.subnet }),
    ...(config.security_groups && { SecurityGroupIds: config.security_groups }),
    ...(config.key && { KeyName: config.key }),
    ...(config.profile && { IamInstanceProfile: toProfile(config.profile) }),
    ...(config.launch_template && { LaunchTemplate: toLaunchTemplate(config.launch_template) }),
    ...(placement.market === 'spot' && {
      InstanceMarketOptions: {
        MarketType: 'spot',
        SpotOptions: {
          SpotInstanceType: 'one-time',
          InstanceInterruptionBehavior: 'terminate',
          ...(config.max_price === undefined ? {} : { MaxPrice: String(config.max_price) }),
        },
      },
    }),
  };
}

/** The job on an instance as tags: `baton.phase`, `baton.repository`, … */
export function toJobTags(tags: JobTags): Tag[] {
  return Object.entries(tags).map(([name, value]) => ({ Key: `baton.${name}`, Value: toTagValue(value) }));
}

/** EC2 accepts all characters except control characters. */
function toTagValue(text: string): string {
  return Array.from(text.replaceAll(/\p{C}+/gu, ' ').trim())
    .slice(0, MAX_TAG_LENGTH)
    .join('');
}

function toTags(config: Ec2Config, { spec, hash }: RunOrder): Tag[] {
  const tags = {
    ...config.tags,
    Name: spec.runner,
    [TAGS.installation]: spec.installation,
    [TAGS.group]: spec.group,
    [TAGS.runner]: spec.runner,
    [TAGS.spec]: hash,
  };
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

type BlockDevices = NonNullable<RunInstancesCommandInput['BlockDeviceMappings']>;

function toRootVolume({ root }: Ec2Config, spec: InstanceSpec, image: Ec2Image): BlockDevices[number] {
  const bytes = spec.diskBytes ?? root.size;
  if (bytes !== undefined && bytes % GIB !== 0) {
    const message = `creating ${spec.runner}: instance.disk is not a whole number of GiB`;
    throw new BatonError('INSTANCE_INVALID', message);
  }
  const size = bytes === undefined ? image.rootGib : bytes / GIB;
  return {
    DeviceName: image.rootDevice,
    Ebs: {
      VolumeType: 'gp3',
      Encrypted: true,
      DeleteOnTermination: true,
      ...(size === undefined ? {} : { VolumeSize: size }),
      ...(root.iops === undefined ? {} : { Iops: root.iops }),
      ...(root.throughput === undefined ? {} : { Throughput: root.throughput }),
      ...(root.kms_key === undefined ? {} : { KmsKeyId: root.kms_key }),
    },
  };
}

type InstanceType = NonNullable<RunInstancesCommandInput['InstanceType']>;

/** The library's list of types is older than EC2's. */
function toInstanceType(type: string): InstanceType {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the list is never complete
  return type as InstanceType;
}

function toProfile(profile: string): { Arn: string } | { Name: string } {
  return profile.startsWith('arn:') ? { Arn: profile } : { Name: profile };
}

function toLaunchTemplate({ id, name, version }: NonNullable<Ec2Config['launch_template']>): {
  LaunchTemplateId?: string;
  LaunchTemplateName?: string;
  Version: string;
} {
  return { ...(id && { LaunchTemplateId: id }), ...(name && { LaunchTemplateName: name }), Version: version };
}
