import { expect, it } from 'vitest';
import { bundleAgent } from '../../services/backend/agent-bundle.ts';

it('is single files, less than 1.5 MB together', async () => {
  const { files } = await bundleAgent();
  const programs = files.filter(({ name }) => name.endsWith('.mjs'));
  expect(programs.map(({ name }) => name)).toEqual(['agent.mjs', 'signal.mjs', 'hooks.mjs', 'built-in.mjs']);
  for (const { name, content } of programs) {
    // Nothing but Node's own modules, and each other, is imported.
    const imported = [...content.toString().matchAll(/(?:^|[;}\n])import[^;"'()]*?from["']([^"']+)["']/g)];
    expect(
      imported.map((match) => match[1]).filter((from) => !from?.startsWith('node:') && !BARE.has(from ?? '')),
    ).toEqual([]);
    expect(content.length, name).toBeGreaterThan(1000);
  }
  expect(files.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThan(1_500_000);
});

/** Node's own modules as CommonJS libraries call them. */
const BARE = new Set([
  'module',
  'fs',
  'path',
  'os',
  'net',
  'crypto',
  'process',
  'buffer',
  'util',
  'events',
  'tty',
  'child_process',
]);
