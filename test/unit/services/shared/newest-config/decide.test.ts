import { describe, expect, it } from 'vitest';
import {
  configRecord,
  decideNewest,
  type ConfigRecord,
  type FileContent,
  type Reasons,
} from '../../../../../services/shared/newest-config/decide.ts';

const because = (reason?: keyof Reasons): Reasons => ({
  applied: reason === 'applied',
  changedBack: reason === 'changedBack',
  abandoned: reason === 'abandoned',
});

const own = (hash: string, version: number | null = null, file = `host-of-${hash}:/baton.yaml`): FileContent => ({
  hash,
  version,
  content: { of: hash },
  file,
});

/** The record after processes with these files came, one after the other. */
const after = (...files: FileContent[]): ConfigRecord | undefined =>
  files.reduce<ConfigRecord | undefined>((record, next) => decideNewest(record, next, because()), undefined);

describe('the newest configuration', () => {
  it('is the first one', () => {
    const record = after(own('a'));
    const files = ['host-of-a:/baton.yaml'];
    expect(record).toEqual({ hash: 'a', version: null, content: { of: 'a' }, superseded: [], files });
    expect(configRecord.parse(record)).toEqual(record);
  });

  it('is one that was not seen before', () => {
    expect(after(own('a'), own('b'))).toMatchObject({ hash: 'b', superseded: ['a'], files: ['host-of-b:/baton.yaml'] });
  });

  it('is not one that was superseded, however often its process starts', () => {
    expect(after(own('a'), own('b'), own('a'), own('b'), own('a'))).toMatchObject({ hash: 'b' });
  });

  it.each(['applied', 'changedBack', 'abandoned'] as const)('is an earlier one that is %s', (reason) => {
    const record = decideNewest(after(own('a'), own('b')), own('a'), because(reason));
    expect(record).toMatchObject({ hash: 'a', superseded: ['b'] });
    // The later one now counts as superseded.
    expect(decideNewest(record, own('b'), because())).toBe(record);
  });

  it('is the one with the higher version, whichever came first, and neither time nor a change of the file alters that', () => {
    const record = after(own('b', 2), own('a', 1));
    expect(record).toMatchObject({ hash: 'b', version: 2 });
    expect(decideNewest(record, own('a', 1), because('abandoned'))).toBe(record);
    expect(decideNewest(record, own('a', 1), because('changedBack'))).toBe(record);
    expect(after(own('b', 2), own('a', 1), own('c', 3))).toMatchObject({ hash: 'c' });
  });

  it('is the lower version where that was applied, although the higher one comes again', () => {
    const record = decideNewest(after(own('a', 1), own('b', 2)), own('a', 1), because('applied'));
    expect(decideNewest(record, own('b', 2), because())).toMatchObject({ hash: 'a' });
  });

  it('knows each file that has had it, up to a bound', () => {
    const all = Array.from({ length: 150 }, (_, index) => own('a', null, `pod-${index}:/baton.yaml`));
    const record = after(...all, ...all);
    expect(record?.files).toHaveLength(100);
    expect(new Set(record?.files).size).toBe(100);
    expect(decideNewest(record, own('a', null, 'pod-149:/baton.yaml'), because())).toBe(record);
  });
});
