import { z } from 'zod';
import { byteSize, duration } from './duration.ts';
import { cloudCommon } from './cloud.ts';

const GIB = 1024 ** 3;

/** An id of EC2, such as subnet-0a1b2c3d. */
const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}-[0-9a-f]{8,17}$`), `expected an id such as ${prefix}-0123456789abcdef0`);

const unique = [(list: string[]) => new Set(list).size === list.length, 'has a duplicate'] as const;

/** Amazon or Baton sets tags with these prefixes. */
const tagKey = z
  .string()
  .min(1)
  .max(127)
  .refine((key) => !/^(aws:|baton\.)/i.test(key) && key !== 'Name', 'Name, aws:… and baton.… are reserved');

const image = z
  .strictObject({
    id: id('ami').optional().describe('Exactly this image.'),
    ssm: z
      .string()
      .regex(/^\/?[\w.-]+(\/[\w.-]+)*(:[\w.-]+)?$/, 'expected the name of an SSM parameter, such as /acme/runner-image')
      .optional()
      .describe('SSM parameter with the image’s id; read again every few minutes.'),
    filter: z
      .record(z.string().min(1), z.string().min(1))
      .optional()
      .describe('Newest image that matches these filters of DescribeImages, such as `name: baton-runner-*`.'),
    owner: z
      .string()
      .regex(/^(self|amazon|aws-marketplace|\d{12})$/, 'expected self, amazon, aws-marketplace or an account’s number')
      .optional()
      .describe('Owner of the images for `filter`; without it, anyone could offer one.'),
  })
  .refine(
    (given) => [given.id, given.ssm, given.filter].filter((one) => one !== undefined).length === 1,
    'give one of id, ssm and filter',
  )
  .refine((given) => (given.filter === undefined) === (given.owner === undefined), 'filter and owner go together');

const root = z.strictObject({
  size: byteSize
    .refine((bytes) => bytes % GIB === 0, 'must be a whole number of GiB')
    .optional()
    .describe('Size of the root volume. A group’s `instance.disk` comes first. Default: the image’s.'),
  iops: z.number().int().min(3000).max(80_000).optional().describe('Operations a second. Default: gp3’s own 3,000.'),
  throughput: z.number().int().min(125).max(2000).optional().describe('MiB a second. Default: gp3’s own 125.'),
  kms_key: z.string().min(1).optional().describe('Key that encrypts the volume. Default: the account’s key for EBS.'),
});

const launchTemplate = z
  .strictObject({
    id: id('lt').optional().describe('Its id, or give its name.'),
    name: z.string().min(3).max(128).optional().describe('Its name, or give its id.'),
    version: z
      .string()
      .regex(/^(\d+|\$Latest|\$Default)$/, 'expected a number, $Latest or $Default')
      .default('$Default')
      .describe('Version of the template.'),
  })
  .refine((given) => (given.id === undefined) !== (given.name === undefined), 'give either id or name');

export const ec2Backend = z
  .strictObject({
    type: z.literal('ec2').describe('Kind of the backend.'),
    ...cloudCommon,
    region: z
      .string()
      .regex(/^[a-z]{2,4}(-[a-z]+)+-\d$/, 'expected a region such as eu-central-1')
      .describe('Where instances are created.'),
    image: image.optional().describe('Image of the instances. A group’s `instance.image` (an id) comes first.'),
    types: z
      .array(z.string().regex(/^[a-z0-9-]+\.[a-z0-9-]+$/, 'expected an instance type such as m7i.large'))
      .min(1)
      .max(20)
      .refine(...unique)
      .optional()
      .describe('Instance types, in the order to try. One without capacity is last for `dry_for`.'),
    subnets: z
      .array(id('subnet'))
      .min(1)
      .max(20)
      .refine(...unique)
      .optional()
      .describe('Subnets, in the order to try for each type. Default: those of the template or the region.'),
    security_groups: z
      .array(id('sg'))
      .min(1)
      .max(16)
      .optional()
      .describe('Security groups of the instances. Default: the network’s own.'),
    key: z.string().min(1).optional().describe('Key pair for SSH. Default: none.'),
    profile: z
      .string()
      .regex(
        /^([\w+=,.@-]+|arn:aws[\w-]*:iam::\d{12}:instance-profile\/.+)$/,
        'expected an instance profile’s name or ARN',
      )
      .optional()
      .describe('Identity of the machine. Default: none, which is best for untrusted code.'),
    root: root.prefault({}).describe('The root volume: gp3, encrypted, ends with its instance.'),
    market: z
      .enum(['on-demand', 'spot', 'spot-then-on-demand'])
      .default('on-demand')
      .describe('How instances are bought. Spot is cheaper, but may be taken back during a job.'),
    max_price: z
      .number()
      .positive()
      .optional()
      .describe('Highest price for spot, in US dollars an hour. Default: the on-demand price.'),
    launch_template: launchTemplate
      .optional()
      .describe('Replaces image, types and the rest; keys that are set here too come first.'),
    tags: z
      .record(tagKey, z.string().max(255))
      .refine((tags) => Object.keys(tags).length <= 40, 'at most 40 tags: Baton adds its own')
      .default({})
      .describe('More tags for instances and volumes.'),
    dry_for: duration.prefault('5m').describe('How long a type, subnet and market without capacity are tried last.'),
    poll: duration.prefault('10s').describe('Time between two lists of instances; a lost one is noticed that late.'),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Address instead of EC2’s and SSM’s own.'),
  })
  .refine((given) => given.launch_template !== undefined || given.image !== undefined, {
    path: ['image'],
    message: 'give an image, or a launch_template',
  })
  .refine((given) => given.launch_template !== undefined || given.types !== undefined, {
    path: ['types'],
    message: 'give instance types, or a launch_template',
  })
  .refine((given) => given.max_price === undefined || given.market !== 'on-demand', {
    path: ['max_price'],
    message: 'is for spot only, and market is on-demand',
  })
  .describe('Virtual machines of Amazon EC2; credentials are found by Amazon’s own library.');

export type Ec2Config = z.infer<typeof ec2Backend>;
