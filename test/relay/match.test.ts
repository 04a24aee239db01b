import { describe, expect, it } from 'vitest';
import { groupConfig } from '../../contracts/config/group-config.ts';
import { matchGroup } from '../../services/relay/match.ts';

const group = (name: string, labels: string[], more: Record<string, unknown> = {}) =>
  groupConfig.parse({ name, organization: 'octo-org', labels, backend: 'docker', ...more });

function match(labels: string[], groups: ReturnType<typeof group>[], repository = 'octo-org/octo-repo'): string {
  const [owner = '', name = ''] = repository.split('/');
  const found = matchGroup(
    { job: { labels }, repository: { fullName: repository, owner, name, private: false } },
    groups,
  );
  return 'group' in found ? found.group.name : found.reason;
}

describe('matchGroup', () => {
  const linux = group('linux', ['linux', 'x64']);
  const gpu = group('gpu', ['linux', 'x64', 'gpu']);

  it('takes a group that has all labels of the job', () => {
    expect(match(['linux'], [linux])).toBe('linux');
    expect(match(['gpu'], [linux, gpu])).toBe('gpu');
  });

  it('does not count case, nor self-hosted, nor a label said twice', () => {
    expect(match(['Self-Hosted', 'LINUX', 'linux'], [linux])).toBe('linux');
    expect(match(['linux'], [group('a', ['Linux'])])).toBe('a');
    expect(match(['linux'], [linux], 'OCTO-org/octo-repo')).toBe('linux');
    // self-hosted makes a group no larger.
    expect(match(['linux'], [group('a', ['linux', 'x64']), group('b', ['linux', 'self-hosted'])])).toBe('b');
  });

  it('takes the group with the fewest labels, then the first', () => {
    expect(match(['linux'], [gpu, linux])).toBe('linux');
    expect(match(['linux'], [group('a', ['linux', 'arm64']), linux])).toBe('a');
  });

  it('serves only its organisation and, where it has one, its repository', () => {
    expect(match(['linux'], [linux], 'other/octo-repo')).toBe('no group is for other/octo-repo');
    const one = group('one', ['linux'], { repository: 'Octo-Repo' });
    expect(match(['linux'], [one])).toBe('one');
    expect(match(['linux'], [one], 'octo-org/else')).toBe('no group is for octo-org/else');
  });

  it('says which group lacks what', () => {
    expect(match(['linux', 'gpu', 'arm64'], [linux, gpu])).toBe(
      'no group of octo-org has all labels of the job (linux, gpu, arm64): linux lacks gpu, arm64; gpu lacks arm64',
    );
  });
});
