import { describe, expect, it } from 'vitest';
import type { JobNeeds } from '../../../../../contracts/workflows/job.ts';
import { delegationConfig } from '../../../../../contracts/config/delegation.ts';
import { groupConfig } from '../../../../../contracts/config/group.ts';
import { matchConfig, matchJob } from '../../../../../services/shared/matching/match.ts';

const group = (name: string, labels: string[], more: Record<string, unknown> = {}) =>
  groupConfig.parse({ name, organization: 'octo-org', labels, backend: 'docker', ...more });

const needs = (labels: string[], more: Partial<JobNeeds> = {}): JobNeeds => ({
  repository: 'octo-org/octo-repo',
  private: true,
  labels,
  workflow: 'CI',
  ...more,
});

const linux = group('linux', ['linux', 'x64']);
const gpu = group('gpu', ['linux', 'x64', 'gpu']);
const selected = group('selected', ['linux'], { repositories: ['other', 'Octo-Repo'] });
const closed = group('closed', ['linux'], { allow_public_repositories: false });
const nightly = group('nightly', ['linux'], { workflow: 'Nightly' });
const one = group('one', ['linux'], { repository: 'Octo-Repo' });

/** Title, job, groups, and the group that takes the job or a part of the reason why none does. */
const rows: [what: string, job: JobNeeds, groups: ReturnType<typeof group>[], result: string | RegExp][] = [
  ['chooses a group that has all labels of the job', needs(['linux']), [linux], 'linux'],
  ['chooses the only group that has a special label', needs(['gpu']), [linux, gpu], 'gpu'],
  [
    'ignores case, self-hosted and repeated labels of the job',
    needs(['Self-Hosted', 'LINUX', 'linux']),
    [linux],
    'linux',
  ],
  ['ignores the case of a group’s labels', needs(['linux']), [group('a', ['Linux'])], 'a'],
  [
    'does not count self-hosted among a group’s labels',
    needs(['linux']),
    [group('a', ['linux', 'x64']), group('b', ['linux', 'self-hosted'])],
    'b',
  ],
  [
    'refuses a job with a label that no group has',
    needs(['linux', 'arm64']),
    [linux, gpu],
    /linux lacks arm64; gpu lacks arm64/,
  ],
  ['prefers the group with the fewest labels', needs(['linux']), [gpu, linux], 'linux'],
  [
    'prefers the first of groups with equally many labels',
    needs(['linux']),
    [group('a', ['linux', 'arm64']), linux],
    'a',
  ],
  ['chooses a group for a job whose only label is self-hosted', needs(['self-hosted']), [gpu, linux], 'linux'],
  ['chooses a group for a job without labels', needs([]), [gpu, linux], 'linux'],
  [
    'refuses a job without labels from another organisation',
    needs([], { repository: 'else/r' }),
    [linux],
    /without labels: linux is for o/,
  ],
  [
    'refuses a job from another organisation',
    needs(['linux'], { repository: 'other/octo-repo' }),
    [linux],
    /linux is for octo-org/,
  ],
  ['ignores the case of the organisation', needs(['linux'], { repository: 'OCTO-org/octo-repo' }), [linux], 'linux'],
  ['chooses a group for one repository when the job is from it', needs(['linux']), [one], 'one'],
  [
    'refuses a job from another repository than the group’s',
    needs(['linux'], { repository: 'octo-org/else' }),
    [one],
    /one is for octo-org\/Octo-Repo/,
  ],
  ['chooses a group whose selected repositories include the job’s', needs(['linux']), [selected], 'selected'],
  [
    'refuses a job from a repository that is not selected',
    needs(['linux'], { repository: 'octo-org/third' }),
    [selected],
    /serves only the repositories other, Octo-Repo/,
  ],
  ['chooses a group without public repositories for a private one', needs(['linux']), [closed], 'closed'],
  [
    'refuses a job from a public repository where none is allowed',
    needs(['linux'], { private: false }),
    [closed],
    /serves no public repositories/,
  ],
  [
    'chooses a group that allows public repositories for a public one',
    needs(['linux'], { private: false }),
    [closed, linux],
    'linux',
  ],
  [
    'chooses a group for one workflow when the job belongs to it',
    needs(['linux'], { workflow: 'Nightly' }),
    [nightly],
    'nightly',
  ],
  [
    'refuses a job of another workflow than the group’s',
    needs(['linux']),
    [nightly],
    /takes only jobs of the workflow "Nightly"/,
  ],
  [
    'refuses a job without a workflow name where the group names a workflow',
    needs(['linux'], { workflow: null }),
    [nightly],
    /only jobs of the workflow/,
  ],
];

describe('matchJob', () => {
  it.each(rows)('%s', (_what, job, groups, result) => {
    const { group, hosted, reason } = matchJob(job, groups);
    expect(group?.name ?? reason).toMatch(typeof result === 'string' ? new RegExp(`^${result}$`) : result);
    expect(hosted).toBe(false);
  });

  it('gives a verdict for each group, in the order of the configuration', () => {
    expect(matchJob(needs(['linux', 'gpu']), [linux, gpu, nightly])).toMatchObject({
      reason: 'gpu is the only one that fits',
      verdicts: [
        { group: 'linux', fits: false, why: 'lacks gpu' },
        { group: 'gpu', fits: true, why: 'fits, with 3 labels' },
        { group: 'nightly', fits: false, why: 'takes only jobs of the workflow "Nightly"' },
      ],
    });
  });

  it('always makes the same choice, whatever other groups do not fit', () => {
    const all = [nightly, gpu, linux, closed, selected];
    const first = matchJob(needs(['linux']), all).group?.name;
    expect(first).toBe('closed');
    for (let round = 0; round < 5; round++) expect(matchJob(needs(['linux']), all).group?.name).toBe(first);
    expect(matchJob(needs(['linux']), [closed, selected]).group?.name).toBe('closed');
  });
});

describe('the forge’s own machines', () => {
  it.each([
    ['ubuntu-latest'],
    ['Ubuntu-24.04'],
    ['ubuntu-24.04-arm'],
    ['ubuntu-slim'],
    ['ubuntu-latest-16-cores'],
    ['windows-2025'],
    ['windows-11-arm'],
    ['macos-15-xlarge'],
  ])('take a job with the label %s', (label) => {
    expect(matchJob(needs([label]), [linux])).toMatchObject({ group: undefined, hosted: true });
  });

  it.each([[['self-hosted', 'ubuntu-latest']], [['ubuntu']], [['my-ubuntu-latest']], [['linux', 'arm64']], [[]]])(
    'do not take a job with the labels %j',
    (labels) => {
      expect(matchJob(needs(labels), [group('a', ['x'], { repository: 'none' })]).hosted).toBe(false);
    },
  );

  it('do not take a job whose label a group has', () => {
    expect(matchJob(needs(['ubuntu-latest']), [group('own', ['ubuntu-latest'])]).group?.name).toBe('own');
  });
});

describe('a group that serves delegations', () => {
  const serving = group('serving', ['linux', 'ephemeral', 'container']);
  const delegation = delegationConfig.parse({
    token_keys: ['k'.repeat(43)],
    proxies: [{ names: ['proxy-1'], labels: ['linux'], group: 'serving' }],
  });

  it('takes no job directly: a proxy takes it and delegates it', () => {
    expect(matchConfig(needs(['linux']), { groups: [serving], delegation })).toMatchObject({
      group: undefined,
      proxies: true,
      verdicts: [{ group: 'serving', fits: false, why: 'serves only delegations' }],
    });
    expect(matchConfig(needs(['linux']), { groups: [serving, linux], delegation }).group?.name).toBe('linux');
    expect(matchConfig(needs(['sparc']), { groups: [serving], delegation }).proxies).toBe(false);
    expect(matchConfig(needs(['linux']), { groups: [serving] }).group?.name).toBe('serving');
  });
});
