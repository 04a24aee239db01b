import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ImagePulls } from '../../../../activities/backends/docker/image-pulls.ts';
import { BatonError } from '../../../../contracts/errors.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { removeImages } from '../../../support/base-images.ts';
import { describeUnless } from '../../../support/describe-unless.ts';
import { whyNoDocker } from '../../../support/docker.ts';
import { startRegistry, type TestRegistry } from '../../../support/registry.ts';
import { until } from '../../../support/until.ts';
import { never } from '../world.ts';
import { docker } from './engine.ts';

describeUnless(await whyNoDocker(), 'pulls of an engine', () => {
  const run = randomUUID().slice(0, 8);
  const pulled: string[] = [];
  const ended: string[] = [];
  let registry: TestRegistry;

  beforeAll(async () => {
    registry = await startRegistry();
  });

  afterAll(async () => {
    await removeImages(docker, pulled);
    await registry.close();
  });

  function openPulls(): ImagePulls {
    return new ImagePulls({
      docker,
      observe: { counted: () => undefined, ended: (outcome) => void ended.push(outcome) },
      log: createLogger('test', 'silent'),
    });
  }

  function image(repository: string): string {
    const reference = `${registry.address}/${repository}:latest`;
    pulled.push(reference);
    return reference;
  }

  /** The error that `ensure` throws; undefined once the engine has the image. */
  async function ask(pulls: ImagePulls, reference: string): Promise<BatonError | undefined> {
    try {
      await pulls.ensure(reference, never);
      return undefined;
    } catch (error) {
      if (error instanceof BatonError) return error;
      throw error;
    }
  }

  it('are three at a time: a fourth image waits for its turn, and nobody waits for an answer', async () => {
    const pulls = openPulls();
    const names = ['a', 'b', 'c', 'd'].map((name) => `${name}-${run}`);
    const releases = names.map((name) => registry.hold(name));
    const images = names.map(image);
    for (const reference of images)
      expect(await ask(pulls, reference)).toMatchObject({ code: 'IMAGE_PULLING', retryable: true });
    await until(() => registry.requested.length === 3, { what: 'three layers are requested' });
    expect((await ask(pulls, images[3] ?? ''))?.message).toContain('waits for other pulls');
    await until(async () => expect((await ask(pulls, images[0] ?? ''))?.message).toMatch(/0 of 1 layers, .+ of .+B/), {
      what: 'the first pull shows its progress',
    });
    expect(registry.requested.toSorted()).toEqual(names.slice(0, 3));

    releases[1]?.();
    await until(() => registry.requested.length === 4, { what: 'the fourth layer is requested' });
    for (const release of releases) release();
    for (const reference of images)
      await until(async () => (await ask(pulls, reference)) === undefined, { what: `the engine has ${reference}` });
    expect(registry.requested.toSorted()).toEqual(names);
    await until(() => expect(ended).toEqual(['ok', 'ok', 'ok', 'ok']));
  });

  it('are one per image, with or without its default tag, however many need it', async () => {
    const pulls = openPulls();
    const name = `shared-${run}`;
    const release = registry.hold(name);
    const reference = image(name);
    const asked = [reference, reference.replace(':latest', ''), reference, reference];
    for (const one of asked) expect(await ask(pulls, one)).toMatchObject({ code: 'IMAGE_PULLING' });
    await until(() => registry.requested.includes(name), { what: 'its layer is requested' });
    release();
    await until(async () => (await ask(pulls, reference)) === undefined, { what: 'the engine has it' });
    expect(registry.requested.filter((one) => one === name)).toHaveLength(1);
  });

  it('that fail are reported to everybody who asks soon, and repeated for those who ask later', async () => {
    const before = openPulls();
    const name = `absent-${run}`;
    const gone = await startRegistry();
    await gone.close();
    const reference = `${gone.address}/${name}:latest`;
    expect(await ask(before, reference)).toMatchObject({ code: 'IMAGE_PULLING' });
    const askTwice = async (): Promise<unknown[]> => [await ask(before, reference), await ask(before, reference)];
    const missing = { code: 'IMAGE_MISSING', retryable: true };
    await until(async () => expect(await askTwice()).toMatchObject([missing, missing]), {
      what: 'the pull has failed',
    });
    await until(async () => (await ask(before, reference))?.code === 'IMAGE_PULLING', { what: 'it is pulled again' });
  });
});
