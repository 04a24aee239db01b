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

/** Job, groups, and the group that takes it, or a part of the reason why none does. */
const rows: [what: string, job: JobNeeds, groups: ReturnType<typeof group>[], result: string | RegExp][] = [
  ['a group that has all labels', needs(['linux']), [linux], 'linux'],
  ['the one group that has the special label', needs(['gpu']), [linux, gpu], 'gpu'],
  ['case and self-hosted and repetitions do not count', needs(['Self-Hosted', 'LINUX', 'linux']), [linux], 'linux'],
  ['case of the group’s labels does not count', needs(['linux']), [group('a', ['Linux'])], 'a'],
  [
    'self-hosted makes a group no larger',
    needs(['linux']),
    [group('a', ['linux', 'x64']), group('b', ['linux', 'self-hosted'])],
    'b',
  ],
  ['a label is missing', needs(['linux', 'arm64']), [linux, gpu], /linux lacks arm64; gpu lacks arm64/],
  ['the fewest labels', needs(['linux']), [gpu, linux], 'linux'],
  ['of equals the first', needs(['linux']), [group('a', ['linux', 'arm64']), linux], 'a'],
  ['only self-hosted', needs(['self-hosted']), [gpu, linux], 'linux'],
  ['no labels at all', needs([]), [gpu, linux], 'linux'],
  [
    'no labels and another organisation',
    needs([], { repository: 'else/r' }),
    [linux],
    /without labels: linux is for o/,
  ],
  ['another organisation', needs(['linux'], { repository: 'other/octo-repo' }), [linux], /linux is for octo-org/],
  ['case of the organisation does not count', needs(['linux'], { repository: 'OCTO-org/octo-repo' }), [linux], 'linux'],
  ['one repository alone', needs(['linux']), [one], 'one'],
  [
    'not another repository',
    needs(['linux'], { repository: 'octo-org/else' }),
    [one],
    /one is for octo-org\/Octo-Repo/,
  ],
  ['a selected repository', needs(['linux']), [selected], 'selected'],
  [
    'a repository that is not selected',
    needs(['linux'], { repository: 'octo-org/third' }),
    [selected],
    /serves only the repositories other, Octo-Repo/,
  ],
  ['a private repository where public ones are not allowed', needs(['linux']), [closed], 'closed'],
  ['a public repository is not', needs(['linux'], { private: false }), [closed], /serves no public repositories/],
  ['a public repository elsewhere', needs(['linux'], { private: false }), [closed, linux], 'linux'],
  ['the named workflow', needs(['linux'], { workflow: 'Nightly' }), [nightly], 'nightly'],
  ['not another workflow', needs(['linux']), [nightly], /takes only jobs of the workflow "Nightly"/],
  ['not one without a name', needs(['linux'], { workflow: null }), [nightly], /only jobs of the workflow/],
];

describe('matchJob', () => {
  it.each(rows)('%s', (_what, job, groups, result) => {
    const { group, hosted, reason } = matchJob(job, groups);
    expect(group?.name ?? reason).toMatch(typeof result === 'string' ? new RegExp(`^${result}$`) : result);
    expect(hosted).toBe(false);
  });

  it('says each group’s word, in the order of the configuration', () => {
    expect(matchJob(needs(['linux', 'gpu']), [linux, gpu, nightly])).toMatchObject({
      reason: 'gpu is the only one that fits',
      verdicts: [
        { group: 'linux', fits: false, why: 'lacks gpu' },
        { group: 'gpu', fits: true, why: 'fits, with 3 labels' },
        { group: 'nightly', fits: false, why: 'takes only jobs of the workflow "Nightly"' },
      ],
    });
  });

  it('is the same every time, and independent of groups that do not fit', () => {
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
  ])('%s is nobody’s fault', (label) => {
    expect(matchJob(needs([label]), [linux])).toMatchObject({ group: undefined, hosted: true });
  });

  it.each([[['self-hosted', 'ubuntu-latest']], [['ubuntu']], [['my-ubuntu-latest']], [['linux', 'arm64']], [[]]])(
    '%j is not for them',
    (labels) => {
      expect(matchJob(needs(labels), [group('a', ['x'], { repository: 'none' })]).hosted).toBe(false);
    },
  );

  it('a group that has the label comes first', () => {
    expect(matchJob(needs(['ubuntu-latest']), [group('own', ['ubuntu-latest'])]).group?.name).toBe('own');
  });
});

describe('groups that serve delegations', () => {
  const serving = group('serving', ['linux', 'ephemeral', 'container']);
  const delegation = delegationConfig.parse({
    token_keys: ['k'.repeat(43)],
    proxies: [{ names: ['proxy-1'], labels: ['linux'], group: 'serving' }],
  });

  it('take no job by its labels: a proxy does, and hands it over', () => {
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
