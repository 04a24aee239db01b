import { describe, expect, it } from 'vitest';
import { classifyCall } from '../../../../../../activities/forges/github/scheduler/call.ts';

describe('a call to GitHub', () => {
  it.each([
    ['POST', '/orgs/Acme/actions/runners/generate-jitconfig', 5, 'registration'],
    ['POST', '/app/installations/7/access_tokens', 5, 'registration'],
    ['POST', '/repos/acme/hello/actions/jobs/7/rerun', 5, 'registration'],
    ['PUT', '/orgs/acme/actions/runners/12/labels', 5, 'removal'],
    ['GET', '/orgs/acme/actions/runner-groups', 1, 'registration'],
    ['GET', '/orgs/acme/actions/runners?name=r1&per_page=100', 1, 'removal'],
    ['GET', '/orgs/acme/actions/runners?per_page=100&page=2', 1, 'background'],
    ['DELETE', '/repos/acme/hello/actions/runners/12', 5, 'removal'],
    ['GET', '/orgs/acme/actions/runner-groups/3/runners', 1, 'background'],
    ['POST', '/app/hook/deliveries/1/attempts', 5, 'background'],
  ] as const)('%s %s costs %d points and has the priority %s', (method, path, cost, priority) => {
    expect(classifyCall(method, path)).toMatchObject({ cost, priority });
    expect(classifyCall(method, `/api/v3${path}`)).toEqual(classifyCall(method, path));
  });

  it('counts as a registration in its organisation or repository, whatever its case', () => {
    const registers = (path: string) => classifyCall('POST', path).registers;
    expect(registers('/orgs/Acme/actions/runners/generate-jitconfig')).toBe('acme');
    expect(registers('/api/v3/repos/Acme/Web.App/actions/runners/generate-jitconfig')).toBe('acme/web.app');
    expect(registers('/orgs/acme/actions/runner-groups')).toBeUndefined();
  });

  it('is made by the App itself with its JWT, else by its installation', () => {
    expect(classifyCall('GET', '/app/hook/deliveries').actor).toBe('app');
    expect(classifyCall('POST', '/api/v3/app/installations/7/access_tokens').actor).toBe('app');
    expect(classifyCall('GET', '/repos/acme/app').actor).toBe('installation');
    expect(classifyCall('GET', '/orgs/app/actions/runners').actor).toBe('installation');
  });
});
