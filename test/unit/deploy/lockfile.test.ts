import { describe, expect, it } from 'vitest';
import { fillGaps, findGaps, readLockfile } from '../../../deploy/launcher/complete-lockfile.ts';

describe('package-lock.json', () => {
  it('has entries for the packages of every platform, so that a fresh clone can be installed', () => {
    // If this fails, run `node deploy/launcher/complete-lockfile.ts`.
    expect(findGaps(readLockfile())).toEqual([]);
  });
});

describe('fillGaps', () => {
  it('adds the entries that a partial mirror left out, and returns those that it cannot make', () => {
    const lock = {
      all: {},
      packages: {
        '': {},
        'node_modules/tool': {
          version: '1.2.3',
          dev: true,
          optionalDependencies: { '@tool/linux-x64-musl': '1.2.3', '@tool/darwin-arm64': '1.2.3', odd: '^1.0.0' },
        },
        'node_modules/@tool/linux-x64-musl': { version: '1.2.3' },
      },
    };
    expect(fillGaps(lock)).toEqual([{ name: 'odd', version: '^1.0.0', dev: true }]);
    expect(lock.packages).toMatchObject({
      'node_modules/@tool/darwin-arm64': {
        version: '1.2.3',
        cpu: ['arm64'],
        os: ['darwin'],
        optional: true,
        dev: true,
      },
    });
    expect(Object.keys(lock.packages)).toEqual([
      '',
      'node_modules/@tool/darwin-arm64',
      'node_modules/@tool/linux-x64-musl',
      'node_modules/tool',
    ]);
  });
});
