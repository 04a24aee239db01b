import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { BOOTSTRAP } from '../candidate.ts';
import { GceProject } from '../gce-server/project.ts';
import { anInstanceSpec } from '../../../support/an-instance-spec.ts';

/** The role in deploy/machines/iam, against a server that refuses all other permissions. */

const file = new URL('../../../../deploy/machines/iam/gce-role.yaml', import.meta.url);
const { includedPermissions: role } = z
  .object({ includedPermissions: z.array(z.string()) })
  .parse(parse(readFileSync(file, 'utf8')));
/** Granted on the service account, not by the role. */
const ON_ACCOUNT = 'iam.serviceAccounts.actAs';
const never = new AbortController().signal;

/** All settings that need an additional permission. */
const ALL = {
  spot: true,
  network: { subnetwork: 'ci', external_ip: true, tags: ['runner'] },
  service_account: { email: 'ci@acme-ci.iam.gserviceaccount.com' },
};

const installation = `r${randomUUID().slice(0, 8)}`;
let project: GceProject;

beforeAll(async () => {
  project = await GceProject.start({ role: [...role, ON_ACCOUNT] });
});

afterAll(() => project.stop());

describe('the role of a GCE worker', () => {
  it('has exactly the permissions that the calls need', async () => {
    const backend = project.open(installation, ALL);
    const ending = new AbortController();
    const spec = anInstanceSpec(installation, `${installation}-linux-${randomUUID().slice(0, 8)}`);
    const deaths: string[] = [];
    const watched = backend.watch(({ runner }) => deaths.push(runner), ending.signal);
    await backend.create(spec, BOOTSTRAP, never);
    await backend.create(spec, BOOTSTRAP, never);
    expect(await backend.describe(spec.runner, never)).toMatchObject({ state: 'running' });
    expect(await backend.list(never)).toHaveLength(1);
    const job = { repository: 'acme/hello', workflow: 'CI', job: 'build', run: '1', attempt: '1' };
    expect(await backend.tag?.(spec.runner, { phase: 'busy', ...job }, never)).toBe('tagged');
    await backend.delete(spec.runner, never);
    expect(await backend.list(never)).toEqual([]);
    ending.abort();
    await watched;
    expect(deaths).toEqual([]);
    expect([...project.server.permissions].sort()).toEqual([...role, ON_ACCOUNT].sort());
  });

  it('leads to an error that names a missing permission', async () => {
    const restricted = await GceProject.start({
      role: role.filter((permission) => permission !== 'compute.instances.create'),
    });
    try {
      const spec = anInstanceSpec(installation, `${installation}-linux-${randomUUID().slice(0, 8)}`);
      const refused = restricted.open(installation).create(spec, BOOTSTRAP, never);
      await expect(refused).rejects.toMatchObject({
        code: 'BACKEND_DENIED',
        message: expect.stringContaining("Required 'compute.instances.create' permission"),
      });
    } finally {
      await restricted.stop();
    }
  });
});
