import { createHash } from 'node:crypto';
import type { RunInstancesCommandInput, Tag } from '@aws-sdk/client-ec2';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { InstanceSpec, JobTags } from '../../../contracts/ports/backend.ts';
import type { Ec2Image } from './image.ts';
import type { Placement } from './placements.ts';

const GIB = 1024 ** 3;

/** Tags on everything that is made, so that an orphan can be told by them alone. */
export const TAGS = {
  installation: 'baton.installation',
  group: 'baton.group',
  runner: 'baton.runner',
  /** Hash of the parameters. */
  spec: 'baton.spec',
  /** Set before we end it: its end is no news then. */
  removed: 'baton.removed',
} as const;

/** Characters of a tag's value at most. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html */
const MAX_TAG_LENGTH = 256;

export interface RunOrder {
  spec: InstanceSpec;
  hash: string;
  placement: Placement;
  /** Undefined where a launch template has one. */
  image: Ec2Image | undefined;
  userData: string;
  token: string;
}

/**
 * The idempotency token of one way to make one runner's instance. EC2 remembers a token with all parameters of its
 * first request, also of one that failed: what is tried with others needs another `generation`.
 */
export function toClientToken(spec: InstanceSpec, place: Placement, generation: number): string {
  const parts = [spec.installation, spec.runner, place.type, place.subnet, place.market, generation];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** All that EC2 is told about a runner's instance. */
export function toRunRequest(config: Ec2Config, order: RunOrder): RunInstancesCommandInput {
  const { placement: place, image, token, spec } = order;
  const tags = toTags(config, order);
  return {
    MinCount: 1,
    MaxCount: 1,
    ClientToken: token,
    UserData: Buffer.from(order.userData).toString('base64'),
    // The machine powers itself off at its end, whatever happens, and that must be the end of it.
    InstanceInitiatedShutdownBehavior: 'terminate',
    MetadataOptions: { HttpTokens: 'required', HttpEndpoint: 'enabled', HttpPutResponseHopLimit: 1 },
    TagSpecifications: [
      { ResourceType: 'instance', Tags: tags },
      { ResourceType: 'volume', Tags: tags },
    ],
    ...(image && { ImageId: image.id, BlockDeviceMappings: [toRootVolume(config, spec, image)] }),
    ...(place.type && { InstanceType: toInstanceType(place.type) }),
    ...(place.subnet && { SubnetId: place.subnet }),
    ...(config.security_groups && { SecurityGroupIds: config.security_groups }),
    ...(config.key && { KeyName: config.key }),
    ...(config.profile && { IamInstanceProfile: toProfile(config.profile) }),
    ...(config.launch_template && { LaunchTemplate: toLaunchTemplate(config.launch_template) }),
    ...(place.market === 'spot' && {
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

/** What runs on an instance, as its tags: `baton.phase`, `baton.repository`, … */
export function toJobTags(tags: JobTags): Tag[] {
  return Object.entries(tags).map(([name, value]) => ({ Key: `baton.${name}`, Value: toTagValue(value) }));
}

/** EC2 takes any character but control ones, and not too many. */
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

/** The library lists the types of its day; EC2 has newer ones. */
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
