import { describe, expect, it } from 'vitest';
import { PullProgress } from '../../../../activities/backends/docker/pull-progress.ts';

const layer = (id: string, status: string, current?: number, total?: number): object => ({
  id,
  status,
  progressDetail: { current, total },
});

describe('the progress of a pull', () => {
  it.each<[string, unknown[], string]>([
    ['before the first layer', [{ status: 'Pulling from acme/runner', id: 'latest' }], 'no layer yet'],
    ['with layers of unknown size', [layer('a', 'Pulling fs layer'), layer('b', 'Waiting')], '0 of 2 layers'],
    [
      'while one layer is downloaded and another is extracted',
      [
        layer('a', 'Downloading', 512, 4096),
        layer('a', 'Downloading', 1024, 4096),
        layer('b', 'Downloading', 10, 1024),
        layer('b', 'Download complete'),
        layer('b', 'Extracting', 1, 1024),
        layer('c', 'Already exists'),
      ],
      '1 of 3 layers, 2.0 KiB of 5.0 KiB',
    ],
    [
      'at the end',
      [layer('a', 'Downloading', 1, 4096), layer('a', 'Pull complete'), { status: 'Digest: sha256:0' }],
      '1 of 1 layers, 4.0 KiB of 4.0 KiB',
    ],
    ['after events of another shape', ['text', null, { id: 3 }, { error: 'denied' }], 'no layer yet'],
  ])('is shown %s', (_when, events, text) => {
    const progress = new PullProgress();
    for (const event of events) progress.apply(event);
    expect(String(progress)).toBe(text);
  });
});
