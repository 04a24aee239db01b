import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findImages, pinImages } from '../../../../deploy/images/pin.ts';

const ONE = `sha256:${'1'.repeat(64)}`;
const TWO = `sha256:${'2'.repeat(64)}`;
const read = (file: string): string => readFileSync(new URL(`../../../../deploy/${file}`, import.meta.url), 'utf8');

describe('the images of others', () => {
  it('are found in the Dockerfiles and the compose file, Baton’s own are not', () => {
    expect(findImages(read('images/baton/Dockerfile'))).toEqual([expect.stringMatching(/^node:/)]);
    expect(findImages(read('images/proxy-runner/Dockerfile'))).toEqual([expect.stringMatching(/actions-runner:/)]);
    expect(findImages(read('docker-compose.yml')).toSorted()).toEqual([
      expect.stringMatching(/^nats:/),
      expect.stringMatching(/^node:/),
      expect.stringMatching(/^temporalio\/temporal:/),
    ]);
  });

  it('get their digests beside their tags, and newer ones later; an unknown image stays as it is', () => {
    const text = 'ARG NODE_IMAGE=node:24\nimage: nats:2\nimage: ${BATON_IMAGE:-baton:dev}\nx: ${NODE_IMAGE:-node:24}\n';
    const pinned = pinImages(text, new Map([['node:24', ONE]]));
    expect(pinned).toBe(
      `ARG NODE_IMAGE=node:24@${ONE}\nimage: nats:2\nimage: \${BATON_IMAGE:-baton:dev}\nx: \${NODE_IMAGE:-node:24@${ONE}}\n`,
    );
    expect(findImages(pinned)).toEqual(['node:24', 'nats:2']);
    expect(pinImages(pinned, new Map([['node:24', TWO]]))).toBe(pinned.replaceAll(ONE, TWO));
  });
});
