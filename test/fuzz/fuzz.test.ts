import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, asyncProperty } from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { BatonError } from '../../contracts/errors.ts';
import { temporaryFolder } from '../support/cleanup.ts';
import { createInputs } from './lib/inputs.ts';
import type { FuzzTarget } from './lib/target.ts';
import { forgeTargets } from './targets/forge.ts';
import { createHookTargets } from './targets/hooks.ts';
import { messageTargets } from './targets/messages.ts';
import { operatorTargets } from './targets/operator.ts';

/**
 * Every parser of what strangers send gets the examples of `corpus` and what is made of them. It may throw its own typed error and nothing
 * else, in bounded time, and changes no prototype. `npm run fuzz` runs many more cases.
 */
const CORPUS = join(import.meta.dirname, 'corpus');
const CASES = Number(process.env['BATON_CASES'] ?? 60);
const SEED = Number(process.env['BATON_SEED'] ?? 20_260_101);
/** CPU time that one input may cost; an input is at most a few hundred kB. */
const MAX_CPU_MS = 5000;

const folder = temporaryFolder('fuzz');
afterAll(() => folder.remove());

const targets = [...forgeTargets, ...messageTargets, ...createHookTargets(folder.path), ...operatorTargets];

function readCorpus(name: string): string[] {
  const path = join(CORPUS, name);
  return existsSync(path)
    ? readdirSync(path)
        .toSorted()
        .map((file) => readFileSync(join(path, file), 'utf8'))
    : [];
}

async function runTarget({ run, errors = [] }: FuzzTarget, text: string): Promise<'accepted' | 'refused'> {
  const before = process.cpuUsage();
  try {
    await run(text);
    return 'accepted';
  } catch (error) {
    if (error instanceof BatonError && errors.includes(error.code)) return 'refused';
    throw error;
  } finally {
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(MAX_CPU_MS);
  }
}

describe.each(targets.map((target) => [target.name, target] as const))('the parser of %s', (name, target) => {
  const examples = readCorpus(name);

  it('accepts its valid examples', async () => {
    const valid = readdirSync(join(CORPUS, name)).filter((file) => file.startsWith('valid'));
    expect(valid.length).toBeGreaterThan(0);
    for (const file of valid) {
      expect(await runTarget(target, readFileSync(join(CORPUS, name, file), 'utf8'))).toBe('accepted');
    }
  });

  it('throws nothing but its own error for examples that once surprised it, and for what is made of all of them', async () => {
    for (const example of examples) await runTarget(target, example);
    const property = assert(
      asyncProperty(createInputs(examples), async (text) => void (await runTarget(target, text))),
      { seed: SEED, numRuns: CASES },
    );
    await expect(property).resolves.toBeUndefined();
  });
});

describe('the corpus', () => {
  it('has a folder for each parser, and no other', () => {
    expect(readdirSync(CORPUS).toSorted()).toEqual(targets.map(({ name }) => name).toSorted());
  });
});
