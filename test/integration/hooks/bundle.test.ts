import { isBuiltin } from 'node:module';
import { describe, expect, it } from 'vitest';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';

describe('the agent’s bundle', () => {
  it('consists of single files that import only Node’s own modules, less than 1.5 MB together', async () => {
    const { files } = await bundleAgent();
    const programs = files.filter(({ name }) => name.endsWith('.mjs'));
    expect(programs.map(({ name }) => name)).toEqual(['agent.mjs', 'signal.mjs', 'hooks.mjs', 'built-in.mjs']);
    for (const { content } of programs) {
      const imports = content.toString().matchAll(/(?:^|[;}\n])import[^;"'()]*?from["']([^"']+)["']/g);
      expect([...imports].map((match) => match[1] ?? '').filter((name) => !isBuiltin(name))).toEqual([]);
    }
    expect(files.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThan(1_500_000);
  });
});
