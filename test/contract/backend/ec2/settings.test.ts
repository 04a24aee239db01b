import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  CreateImageCommand,
  CreateKeyPairCommand,
  CreateLaunchTemplateCommand,
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  type Instance as Machine,
} from '@aws-sdk/client-ec2';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Backend, Instance } from '../../../../contracts/ports/backend.ts';
import { createRunnerName } from '../../../../contracts/workflows/runner-name.ts';
import { anInstanceSpec } from '../../../support/an-instance-spec.ts';
import { describeUnless } from '../../../support/describe-unless.ts';
import type { Call } from '../../../support/fault-proxy.ts';
import { findMoto } from '../../../support/moto.ts';
import { until } from '../../../support/until.ts';
import { BOOTSTRAP } from '../candidate.ts';
import { errorAnswer, EXHAUSTED, isAction, NOT_ALLOWED, EMPTY_LIST, parseParameters } from './answers.ts';
import { REGION, startEmulator, type Emulator } from './emulator.ts';

const never = new AbortController().signal;
const moto = await findMoto();

describeUnless('missing' in moto ? moto.missing : undefined, 'an instance of EC2', () => {
  const installation = `s${randomUUID().slice(0, 8)}`;
  let emulator: Emulator;
  /** The calls of all tests here: the permissions must allow them. */
  const calls: Call[] = [];

  beforeAll(async () => {
    emulator = await startEmulator('program' in moto ? moto.program : '');
  });

  afterEach(async () => {
    emulator.proxy.clear();
    const backend = emulator.open(installation);
    for (const { runner } of await backend.list(never)) await backend.delete(runner, never);
    calls.push(...emulator.proxy.calls);
  });

  afterAll(() => emulator.stop());

  const create = (backend: Backend, more = {}): Promise<Instance> =>
    backend.create(
      { ...anInstanceSpec(installation, createRunnerName(installation, 'linux', randomUUID())), ...more },
      BOOTSTRAP,
      never,
    );

  async function findMachine({ id }: Instance): Promise<Machine> {
    const found = await emulator.direct.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
    const machine = found.Reservations?.[0]?.Instances?.[0];
    if (machine === undefined) throw new Error('there is no such instance');
    return machine;
  }

  const lastRun = (): URLSearchParams => {
    const call = emulator.proxy.calls.findLast((call) => isAction(call, 'RunInstances'));
    if (call === undefined) throw new Error('there was no call of RunInstances');
    return parseParameters(call);
  };

  it('has its tags, a tagged and encrypted gp3 volume of the configured size, IMDSv2, and terminates when it powers off', async () => {
    await emulator.direct.send(new CreateKeyPairCommand({ KeyName: 'ops' }));
    const { SecurityGroups: [group] = [] } = await emulator.direct.send(new DescribeSecurityGroupsCommand({}));
    const made = await create(
      emulator.open(installation, {
        root: { size: '60GiB', iops: 6000, throughput: 500 },
        security_groups: [group?.GroupId],
        key: 'ops',
        tags: { team: 'ci' },
      }),
    );
    expect(made).toMatchObject({ machine: 'm5.large', market: 'on-demand' });
    const run = Object.fromEntries(lastRun());
    expect(run).toMatchObject({
      'MetadataOptions.HttpTokens': 'required',
      'MetadataOptions.HttpProtocolIpv6': 'disabled',
      'MetadataOptions.HttpPutResponseHopLimit': '1',
      InstanceInitiatedShutdownBehavior: 'terminate',
      'SecurityGroupId.1': group?.GroupId,
      KeyName: 'ops',
    });
    const machine = await findMachine(made);
    const tags = Object.fromEntries((machine.Tags ?? []).map(({ Key, Value }) => [Key, Value]));
    const expected = {
      Name: made.runner,
      'baton.installation': installation,
      'baton.group': 'linux',
      'baton.runner': made.runner,
    };
    expect(tags).toMatchObject({ ...expected, team: 'ci', 'baton.spec': expect.stringMatching(/^[0-9a-f]{32}$/) });
    const VolumeIds = [machine.BlockDeviceMappings?.[0]?.Ebs?.VolumeId ?? ''];
    const { Volumes: volumes } = await emulator.direct.send(new DescribeVolumesCommand({ VolumeIds }));
    expect(volumes).toMatchObject([{ Size: 60, VolumeType: 'gp3', Encrypted: true }]);
    expect(volumes?.[0]?.Tags).toContainEqual({ Key: 'baton.runner', Value: made.runner });
    expect(run).toMatchObject({
      'BlockDeviceMapping.1.Ebs.Iops': '6000',
      'BlockDeviceMapping.1.Ebs.Throughput': '500',
    });
    const data = await emulator.direct.send(
      new DescribeInstanceAttributeCommand({ InstanceId: made.id, Attribute: 'userData' }),
    );
    const text = Buffer.from(data.UserData?.Value ?? '', 'base64').toString();
    expect(text).toMatch(new RegExp(`^#!/bin/sh\\n# ${made.runner} SECRET-CREDENTIAL`));
  });

  it('boots from the image of an SSM parameter, the newest image of a filter, or its group’s image', async () => {
    const ssm = new SSMClient({ region: REGION, endpoint: emulator.address });
    const first = await findMachine(await create(emulator.open(installation)));
    const image = async (Name: string): Promise<string> => {
      const command = new CreateImageCommand({ InstanceId: first.InstanceId, Name });
      return (await emulator.direct.send(command)).ImageId ?? '';
    };
    const [old, newer] = [await image('baton-1'), await image('baton-2')];
    await ssm.send(new PutParameterCommand({ Name: '/acme/runner', Value: old, Type: 'String' }));
    await ssm.send(new PutParameterCommand({ Name: '/acme/wrong', Value: 'x', Type: 'String' }));
    const byParameter = await create(emulator.open(installation, { image: { ssm: '/acme/runner' } }));
    expect((await findMachine(byParameter)).ImageId).toBe(old);
    const byFilter = await create(
      emulator.open(installation, { image: { filter: { name: 'baton-*' }, owner: 'self' } }),
    );
    expect([old, newer]).toContain((await findMachine(byFilter)).ImageId);
    const byGroup = await create(emulator.open(installation), { image: newer });
    expect((await findMachine(byGroup)).ImageId).toBe(newer);
    for (const wrong of [{ ssm: '/acme/wrong' }, { ssm: '/nowhere' }, { id: 'ami-0000000000000000f' }]) {
      const refused = create(emulator.open(installation, { image: wrong }));
      await expect(refused).rejects.toMatchObject({ code: 'IMAGE_MISSING', retryable: true });
    }
  });

  it('is a spot instance, or on demand when the spot limit is reached, which makes all types of that market dry', async () => {
    const types = ['m5.large', 'c5.large'];
    const spot = await create(emulator.open(installation, { market: 'spot', max_price: 0.07 }));
    expect(spot.market).toBe('spot');
    const run = Object.fromEntries(lastRun());
    expect(run).toMatchObject({
      'InstanceMarketOptions.MarketType': 'spot',
      'InstanceMarketOptions.SpotOptions.MaxPrice': '0.07',
      'InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior': 'terminate',
    });
    const backend = emulator.open(installation, { market: 'spot-then-on-demand', types });
    const noSpot = emulator.proxy.inject({
      when: (call) => parseParameters(call).get('InstanceMarketOptions.MarketType') === 'spot',
      fault: {
        kind: 'answer',
        answer: errorAnswer(400, 'MaxSpotInstanceCountExceeded', 'Max spot instance count exceeded'),
      },
    });
    const before = emulator.proxy.calls.length;
    expect(await create(backend)).toMatchObject({ market: 'on-demand', machine: 'm5.large' });
    const asked = emulator.proxy.calls.slice(before).filter((call) => isAction(call, 'RunInstances'));
    expect(asked).toHaveLength(2);
    noSpot.remove();
    expect(await create(backend)).toMatchObject({ market: 'on-demand' });
  });

  it('is created from a launch template', async () => {
    const { LaunchTemplate: template } = await emulator.direct.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: 'ci-runners',
        LaunchTemplateData: { ImageId: 'ami-12c6146b', InstanceType: 't3.small' },
      }),
    );
    const from = { image: undefined, types: undefined, subnets: undefined };
    const byName = await create(emulator.open(installation, { ...from, launch_template: { name: 'ci-runners' } }));
    expect(await findMachine(byName)).toMatchObject({ ImageId: 'ami-12c6146b', InstanceType: 't3.small' });
    const id = template?.LaunchTemplateId;
    const byId = await create(emulator.open(installation, { ...from, types: ['t3.large'], launch_template: { id } }));
    expect(await findMachine(byId)).toMatchObject({ ImageId: 'ami-12c6146b', InstanceType: 't3.large' });
  });

  it('has the configured instance profile, volume key and version of the launch template', async () => {
    const asked = async (more: Record<string, unknown>): Promise<Record<string, string>> => {
      // The emulator has neither that profile nor that version; only the request is checked.
      await create(emulator.open(installation, more)).catch(() => undefined);
      return Object.fromEntries(lastRun());
    };
    const arn = 'arn:aws:iam::123456789012:instance-profile/runner';
    expect(await asked({ profile: 'runner' })).toMatchObject({ 'IamInstanceProfile.Name': 'runner' });
    expect(await asked({ profile: arn })).toMatchObject({ 'IamInstanceProfile.Arn': arn });
    const key = { 'BlockDeviceMapping.1.Ebs.KmsKeyId': 'alias/ci', 'BlockDeviceMapping.1.Ebs.Encrypted': 'true' };
    expect(await asked({ root: { kms_key: 'alias/ci' } })).toMatchObject(key);
    const template = { 'LaunchTemplate.LaunchTemplateName': 'ci-runners', 'LaunchTemplate.Version': '7' };
    expect(await asked({ launch_template: { name: 'ci-runners', version: '7' } })).toMatchObject(template);
  });

  it('is created with the first type that has capacity, in the first subnet that has it', async () => {
    const { Subnets: found = [] } = await emulator.direct.send(new DescribeSubnetsCommand({}));
    const subnets = found.slice(0, 2).map(({ SubnetId = '' }) => SubnetId);
    const [first = '', second = ''] = subnets;
    const backend = emulator.open(installation, { types: ['m5.large', 'c5.large'], subnets });
    const findPlacement = async (made: Instance): Promise<unknown[]> => {
      const { InstanceType: type, SubnetId: subnet } = await findMachine(made);
      return [type, subnet];
    };
    expect(await findPlacement(await create(backend))).toEqual(['m5.large', first]);
    const dry = (type: string, subnet: string): void => {
      emulator.proxy.inject({
        when: (call) =>
          parseParameters(call).get('InstanceType') === type && parseParameters(call).get('SubnetId') === subnet,
        fault: { kind: 'answer', answer: EXHAUSTED },
      });
    };
    dry('m5.large', first);
    expect(await findPlacement(await create(backend))).toEqual(['m5.large', second]);
    dry('m5.large', second);
    expect(await findPlacement(await create(backend))).toEqual(['c5.large', first]);
  });

  it.each([
    ['cpu, which the type decides', { cpu: 2 }, {}],
    ['a disk of half a GiB', { diskBytes: 1024 ** 3 / 2 }, {}],
    ['an image that is not an image id', { image: 'debian:13' }, {}],
    ['a subnet that does not exist', {}, { subnets: ['subnet-00000000'] }],
    ['a launch template that does not exist', {}, { launch_template: { name: 'none' } }],
  ])('is refused with %s, by an error that is not retryable', async (_what, spec, config) => {
    const refused = create(emulator.open(installation, config), spec);
    await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_INVALID', retryable: false });
  });

  it('is the oldest when two processes created one at the same time at different placements', async () => {
    const spec = anInstanceSpec(installation, createRunnerName(installation, 'linux', randomUUID()));
    // The second process looked before the first had created it, and got an empty list.
    const [first, second] = [emulator.open(installation), emulator.open(installation, { types: ['c5.large'] })];
    const made = await first.create(spec, BOOTSTRAP, never);
    emulator.proxy.inject({
      when: (call) => isAction(call, 'DescribeInstances'),
      times: 1,
      fault: { kind: 'answer', answer: EMPTY_LIST },
    });
    // EC2's times have a resolution of one second.
    await until(() => Date.now() > new Date(made.createdAt).getTime() + 1500, { what: 'a second later' });
    expect(await second.create(spec, BOOTSTRAP, never)).toMatchObject({ id: made.id, machine: 'm5.large' });
    expect(await first.list(never)).toMatchObject([{ id: made.id, state: 'running' }]);
    const Filters = [{ Name: 'tag:baton.runner', Values: [spec.runner] }];
    const all = await emulator.direct.send(new DescribeInstancesCommand({ Filters }));
    const states = (all.Reservations ?? []).flatMap(({ Instances }) => Instances ?? []).map(({ State }) => State?.Name);
    expect(new Set(states)).toEqual(new Set(['running', 'terminated']));
    expect(states).toHaveLength(2);
  });

  it('is listed on whichever page it is', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, () => create(emulator.open(installation))));
    const before = emulator.proxy.calls.length;
    const listed = await emulator.open(installation).list(never);
    expect(listed.map(({ id }) => id).toSorted()).toEqual(made.map(({ id }) => id).toSorted());
    expect(emulator.proxy.calls.slice(before).filter(({ body }) => body.includes('NextToken')).length).toBeGreaterThan(
      1,
    );
  });

  it('needs exactly the permissions of deploy/machines/iam/ec2.json', async () => {
    const made = await create(emulator.open(installation));
    const job = { repository: 'acme/hello', workflow: 'CI', job: 'build', run: '1', attempt: '1' };
    expect(await emulator.open(installation).tag(made.runner, { phase: 'busy', ...job }, never)).toBe('tagged');
    emulator.proxy.inject({ when: () => true, times: 1, fault: { kind: 'answer', answer: NOT_ALLOWED } });
    const denied = emulator.open(installation).list(never);
    await expect(denied).rejects.toMatchObject({ code: 'BACKEND_DENIED', retryable: true });
    await emulator.open(installation).delete(made.runner, never);
    calls.push(...emulator.proxy.calls);
    const used = new Set(calls.map(getAction));
    const condition = z.object({ 'ForAllValues:StringEquals': z.object({ 'aws:TagKeys': z.array(z.string()) }) });
    const statement = z.object({
      Action: z.union([z.string(), z.array(z.string())]),
      Condition: condition.optional().catch(undefined),
    });
    const policy = z.object({ Statement: z.array(statement) });
    const file = new URL('../../../../deploy/machines/iam/ec2.json', import.meta.url);
    const { Statement: statements } = policy.parse(JSON.parse(readFileSync(file, 'utf8')));
    const allowed = new Set(statements.flatMap(({ Action }) => Action));
    // Not a call: EC2 checks it where an instance has a profile.
    allowed.delete('iam:PassRole');
    expect([...used].toSorted()).toEqual([...allowed].toSorted());
    // And no other tags than those that are set on what is there.
    const tagging = calls.filter((call) => isAction(call, 'CreateTags'));
    const isKey = ([name]: [string, string]): boolean => /^Tag\.\d+\.Key$/.test(name);
    const keys = tagging.flatMap((call) => [...parseParameters(call)].filter(isKey).map(([, key]) => key));
    const allowedKeys = statements.flatMap(
      ({ Condition }) => Condition?.['ForAllValues:StringEquals']['aws:TagKeys'] ?? [],
    );
    expect([...new Set(keys)].toSorted()).toEqual(allowedKeys.toSorted());
  });
});

/** A call as IAM names it: `ec2:RunInstances`. */
function getAction(call: Call): string {
  const target = call.headers['x-amz-target'];
  if (typeof target === 'string') return target.replace('AmazonSSM.', 'ssm:');
  return `ec2:${parseParameters(call).get('Action')}`;
}
