import {
  CreateTagsCommand,
  DescribeInstancesCommand,
  DescribeTagsCommand,
  DescribeVolumesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { findMoto, MOTO_VERSION } from '../../support/moto.ts';
import { BOOTSTRAP, type Candidate } from './candidate.ts';
import {
  EXHAUSTED,
  EXPIRED,
  FAILED,
  isAction,
  longList,
  EMPTY_LIST,
  parseParameters,
  THROTTLED,
} from './ec2/answers.ts';
import { startEmulator } from './ec2/emulator.ts';
import { backendContract } from './suite.ts';
import { never } from './world.ts';

const TYPES = { first: 'm5.large', second: 'c5.large' } as const;

const moto = await findMoto();

async function start(program: string): Promise<Candidate> {
  const emulator = await startEmulator(program);
  const { direct: behind, proxy, tokens } = emulator;

  async function leftovers(installations: string[]): Promise<string[]> {
    const Filters = [{ Name: 'tag:baton.installation', Values: installations }];
    const { Reservations: reservations = [] } = await behind.send(new DescribeInstancesCommand({ Filters }));
    const machines = reservations.flatMap(({ Instances }) => Instances ?? []);
    const { Volumes: volumes = [] } = await behind.send(new DescribeVolumesCommand({ Filters }));
    return [
      ...machines.filter(({ State }) => State?.Name !== 'terminated').map(({ InstanceId }) => `instance ${InstanceId}`),
      ...volumes.filter(({ State }) => State !== 'in-use').map(({ VolumeId }) => `volume ${VolumeId}`),
    ];
  }

  /**
   * Answers with two pages, as EC2 does. The emulator would take minutes; its own pages are in ec2/settings.test.ts.
   */
  function many(installation: string, count: number): Promise<() => Promise<void>> {
    const pages = proxy.inject({
      when: (call) => isAction(call, 'DescribeInstances'),
      fault: { kind: 'answer', answer: (call) => longList(call, installation, count) },
    });
    return Promise.resolve(() => Promise.resolve(pages.remove()));
  }

  return {
    against: `moto ${MOTO_VERSION}`,
    open: (installation) => emulator.open(installation),
    spec: anInstanceSpec,
    config: emulator.config(),
    killAfterMs: [20, 150, 500],
    partialCreates: [
      [
        'an instance whose creator did not get the answer',
        async (spec) => {
          await emulator.open(spec.installation).create(spec, { ...BOOTSTRAP, credentials: 'ANOTHER' }, never);
        },
      ],
    ],
    kill: async ({ id }) => void (await behind.send(new TerminateInstancesCommand({ InstanceIds: [id] }))),
    killed: { exitCode: null, reason: /it was terminated from outside Baton/ },
    listLeftovers: leftovers,
    createMany: many,
    tags: {
      read: async ({ id }) => {
        const Filters = [{ Name: 'resource-id', Values: [id] }];
        const { Tags: tags = [] } = await behind.send(new DescribeTagsCommand({ Filters }));
        return Object.fromEntries(tags.map(({ Key, Value }) => [Key ?? '', Value ?? '']));
      },
      set: async ({ id }) => {
        await behind.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'CostCentre', Value: 'Q 7' }] }));
      },
    },
    stop: () => emulator.stop(),
    faults: {
      proxy,
      open: (installation) => emulator.open(installation),
      isCreate: (call) => isAction(call, 'RunInstances'),
      isLook: (call) => isAction(call, 'DescribeInstances'),
      isDelete: (call) => isAction(call, 'TerminateInstances'),
      failed: FAILED,
      throttled: THROTTLED,
      expired: EXPIRED,
      emptyList: () => EMPTY_LIST,
    },
    capacity: {
      open: (installation) => emulator.open(installation, { types: Object.values(TYPES) }),
      isCreateIn: (call, placement) => parseParameters(call).get('InstanceType') === TYPES[placement],
      exhausted: (call) => {
        tokens.spend(call);
        return EXHAUSTED;
      },
      findPlacement: ({ machine }) => Promise.resolve(machine === TYPES.first ? 'first' : 'second'),
    },
    absent: {},
  };
}

describeUnless('missing' in moto ? moto.missing : undefined, 'with moto', () => {
  backendContract('ec2', () => start('program' in moto ? moto.program : ''));
});
