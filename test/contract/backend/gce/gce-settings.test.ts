import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashSpec } from '../../../../activities/backends/spec-hash.ts';
import type { Backend, Instance, InstanceSpec } from '../../../../contracts/ports/backend.ts';
import { BOOTSTRAP } from '../candidate.ts';
import { FIRST, GceProject, SECOND } from '../gce-server/project.ts';
import { anInstanceSpec } from '../../../support/an-instance-spec.ts';
import { until } from '../../../support/until.ts';

const never = new AbortController().signal;
let project: GceProject;

beforeAll(async () => {
  project = await GceProject.start();
});

afterAll(() => project.stop());

describe('the gce backend', () => {
  const installation = `g${randomUUID().slice(0, 8)}`;

  const next = (more?: Partial<InstanceSpec>): InstanceSpec =>
    anInstanceSpec(installation, `${installation}-linux-${randomUUID().slice(0, 8)}`, more);

  const getResource = ({ id, runner }: Instance): Record<string, unknown> =>
    project.server.cloud.get(id.split('/')[0] ?? '', runner).resource;

  /** Watches until the first death of a runner, and resolves with it. */
  function waitForDeath(backend: Backend, runner: string): Promise<Instance> {
    const ending = new AbortController();
    return new Promise((resolve, reject) => {
      const onDeath = (dead: Instance): void => {
        if (dead.runner !== runner) return;
        ending.abort();
        resolve(dead);
      };
      backend.watch(onDeath, ending.signal).catch(reject);
    });
  }

  it('requests an instance with everything that is configured', async () => {
    const backend = project.open(installation, {
      image: { project: 'debian-cloud', family: 'debian-12' },
      disk: { type: 'pd-ssd', size: '50GiB' },
      network: { subnetwork: 'ci', external_ip: true, tags: ['runner'] },
      service_account: { email: 'ci@acme-ci.iam.gserviceaccount.com' },
      labels: { team: 'build' },
      spot: true,
      shielded: { integrity_monitoring: false },
    });
    const spec = next();
    const made = await backend.create(spec, BOOTSTRAP, never);
    expect(made).toMatchObject({ machine: 'e2-standard-4', market: 'spot' });
    const resource = getResource(made);
    const labels = {
      team: 'build',
      'baton-installation': installation,
      'baton-group': 'linux',
      'baton-runner': spec.runner,
      'baton-spec': hashSpec(spec),
    };
    expect(resource).toMatchObject({
      labels,
      tags: { items: ['runner'] },
      disks: [
        {
          boot: true,
          autoDelete: true,
          initializeParams: {
            sourceImage: 'projects/debian-cloud/global/images/family/debian-12',
            diskType: `zones/${FIRST}/diskTypes/pd-ssd`,
            diskSizeGb: '50',
            labels,
          },
        },
      ],
      networkInterfaces: [
        { subnetwork: 'regions/europe-west4/subnetworks/ci', accessConfigs: [{ type: 'ONE_TO_ONE_NAT' }] },
      ],
      serviceAccounts: [
        { email: 'ci@acme-ci.iam.gserviceaccount.com', scopes: ['https://www.googleapis.com/auth/cloud-platform'] },
      ],
      shieldedInstanceConfig: { enableSecureBoot: true, enableVtpm: true, enableIntegrityMonitoring: false },
      scheduling: {
        provisioningModel: 'SPOT',
        instanceTerminationAction: 'DELETE',
        automaticRestart: false,
        onHostMaintenance: 'TERMINATE',
        maxRunDuration: { seconds: expect.stringMatching(/^\d{3}$/) },
      },
    });
    const { metadata } = project.server.cloud.get(FIRST, spec.runner).body;
    expect(metadata.items.find(({ key }) => key === 'startup-script')?.value).toMatch(/^#!\/bin\/sh\nBATON_RUNNER=/);
  });

  it('requests the configured network, image name and scopes', async () => {
    const scopes = ['https://www.googleapis.com/auth/logging.write'];
    const made = await project
      .open(installation, {
        image: { name: 'runner-v1' },
        network: { network: 'ci' },
        service_account: { email: 'ci@acme-ci.iam.gserviceaccount.com', scopes },
      })
      .create(next(), BOOTSTRAP, never);
    const resource = getResource(made);
    expect(resource).toMatchObject({
      disks: [{ initializeParams: { sourceImage: expect.stringMatching(/global\/images\/runner-v1$/) } }],
      networkInterfaces: [{ network: expect.stringMatching(/global\/networks\/ci$/) }],
      serviceAccounts: [{ email: 'ci@acme-ci.iam.gserviceaccount.com', scopes }],
    });
    // No external address.
    expect(JSON.stringify(resource['networkInterfaces'])).not.toContain('accessConfigs');
  });

  it('requests the size, image and disk that the group sets', async () => {
    const image = 'projects/acme-ci/global/images/runner-v1';
    const spec = next({ cpu: 6, memoryBytes: 12 * 1024 ** 3, diskBytes: 80 * 1024 ** 3, image });
    const made = await project.open(installation).create(spec, BOOTSTRAP, never);
    expect(made).toMatchObject({ machine: 'e2-custom-6-12288', market: 'on-demand' });
    expect(getResource(made)).toMatchObject({
      disks: [{ initializeParams: { sourceImage: image, diskSizeGb: '80' } }],
      scheduling: { provisioningModel: 'STANDARD', instanceTerminationAction: 'DELETE' },
    });
  });

  it.each([
    ['cpu without memory', { cpu: 2 }, {}, /both a whole number of cpu and memory/],
    ['a machine type that does not exist', {}, { machine_type: 'z9-huge-1' }, /was not found/],
    ['an image that does not exist', { image: 'projects/none/global/images/none' }, {}, /was not found/],
  ])('refuses %s, with an error that is not retryable', async (_what, more, config, message) => {
    const refused = project.open(installation, config).create(next(more), BOOTSTRAP, never);
    await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_INVALID', message: expect.stringMatching(message) });
  });

  it('refuses a runner name that begins with a digit, which Compute Engine does not allow', async () => {
    const refused = project
      .open(installation)
      .create(anInstanceSpec(installation, '4ever-linux-aaaaaaaa'), BOOTSTRAP, never);
    await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_INVALID' });
  });

  it('refuses the name of another owner’s machine, and leaves that machine alone', async () => {
    const spec = next();
    project.startInsert({ ...spec, installation: 'another' }, FIRST);
    const backend = project.open(installation);
    await expect(backend.create(spec, BOOTSTRAP, never)).rejects.toMatchObject({ code: 'INSTANCE_CONFLICT' });
    expect(await backend.describe(spec.runner, never)).toBeUndefined();
    await backend.delete(spec.runner, never);
    expect(project.listMachines(['another'])).toHaveLength(1);
    project.server.cloud.machines.delete(`${FIRST}/${spec.runner}`);
  });

  it('reports that no zone has capacity, and later retries with a new request id', async () => {
    project.server.cloud.exhausted.add(FIRST).add(SECOND);
    const spec = next();
    const backend = project.open(installation, { dry_for: '1s' });
    const refused = backend.create(spec, BOOTSTRAP, never);
    await expect(refused).rejects.toMatchObject({ code: 'CAPACITY_EXHAUSTED', details: { zones: [FIRST, SECOND] } });
    project.server.cloud.exhausted.clear();
    // Compute Engine repeats a failure for an hour. The test makes this one old enough for a new request id.
    for (const { resource } of project.server.cloud.operations) {
      if (resource['error']) resource['endTime'] = new Date(Date.now() - 60_000).toISOString();
    }
    expect(await backend.create(spec, BOOTSTRAP, never)).toMatchObject({ runner: spec.runner, state: 'running' });
    expect(project.listMachines([installation]).filter((text) => text.includes(spec.runner))).toHaveLength(1);
  });

  it('reports the preemption of a spot instance, whether or not the watch had seen it running', async () => {
    const backend = project.open(installation, { spot: true });
    const spec = next();
    const death = waitForDeath(backend, spec.runner);
    const seen = await backend.create(spec, BOOTSTRAP, never);
    project.server.cloud.preempt(FIRST, seen.runner);
    expect(await death).toMatchObject({ id: seen.id, reason: expect.stringMatching(/preempted/), market: 'spot' });
    await until(async () => (await backend.describe(seen.runner, never)) === undefined, { what: 'it is gone' });

    const unseen = await backend.create(next(), BOOTSTRAP, never);
    project.server.cloud.preempt(FIRST, unseen.runner);
    await until(async () => (await backend.describe(unseen.runner, never)) === undefined, { what: 'it is gone' });
    const dead = await waitForDeath(project.open(installation, { spot: true }), unseen.runner);
    expect(dead).toMatchObject({ id: unseen.id, group: 'linux', reason: expect.stringMatching(/preempted/) });
  });

  it('reports the death of an instance that Compute Engine deleted at the end of its run duration', async () => {
    const backend = project.open(installation);
    const spec = next();
    const death = waitForDeath(backend, spec.runner);
    const made = await backend.create(spec, BOOTSTRAP, never);
    project.server.cloud.delete(FIRST, made.runner, undefined);
    expect(await death).toMatchObject({ id: made.id, state: 'dead' });
  });

  it('finds and deletes an instance in a zone that is no longer configured', async () => {
    const made = await project.open(installation).create(next(), BOOTSTRAP, never);
    const elsewhere = project.open(installation, { zones: ['us-central1-a'] });
    expect(await elsewhere.describe(made.runner, never)).toMatchObject({ id: made.id });
    await elsewhere.delete(made.runner, never);
    expect(project.listMachines([installation]).filter((text) => text.includes(made.runner))).toEqual([]);
  });

  it('requests an instance without a service account where none is configured', async () => {
    const made = await project.open(installation).create(next(), BOOTSTRAP, never);
    expect(getResource(made)['serviceAccounts'] ?? []).toEqual([]);
  });

  it('gets a new token when one was revoked, and reports BACKEND_DENIED when it gets none', async () => {
    const backend = project.open(installation);
    await backend.list(never);
    project.server.metadata.expire();
    await backend.list(never);
    project.server.metadata.expire({ forGood: true });
    await expect(backend.list(never)).rejects.toMatchObject({ code: 'BACKEND_DENIED' });
    project.server.metadata.renew();
    await backend.list(never);
  });
});
