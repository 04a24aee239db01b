import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { createConfigSchema } from '../../../contracts/config/schema.ts';
import { cliPage } from './cli-page.ts';
import { configurationPage } from './configuration-page.ts';
import { errorsPage } from './errors-page.ts';
import { messagesPage } from './messages-page.ts';
import { metricsPage } from './metrics-page.ts';

/** The pages of the docs that are made from the code. `npm run docs` writes them; `npm run check:docs` compares them. */
export const PAGES: Record<string, () => Promise<string>> = {
  'reference/configuration.md': () => formatted(configurationPage(), 'markdown'),
  'reference/baton.schema.json': () => formatted(JSON.stringify(createConfigSchema()), 'json'),
  'reference/cli.md': () => formatted(cliPage(), 'markdown'),
  'reference/metrics.md': () => formatted(metricsPage(), 'markdown'),
  'reference/messages.md': () => formatted(messagesPage(), 'markdown'),
  'reference/errors.md': () => formatted(errorsPage(), 'markdown'),
};

async function formatted(text: string, parser: 'markdown' | 'json'): Promise<string> {
  const config = await resolveConfig(fileURLToPath(import.meta.url));
  return await format(text, { ...config, parser });
}

/** @returns the pages that differ from what the code says */
async function writePages({ check }: { check: boolean }): Promise<string[]> {
  const changed: string[] = [];
  for (const [page, make] of Object.entries(PAGES)) {
    const file = new URL(`../../../deploy/docs/${page}`, import.meta.url);
    const text = await make();
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
    changed.push(page);
    if (!check) writeFileSync(file, text);
  }
  return changed;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  const changed = await writePages({ check });
  for (const page of changed) {
    console.log(`deploy/docs/${page}: ${check ? 'differs from the code; run `npm run docs`' : 'written'}`);
  }
  if (changed.length === 0) console.log('The generated pages match the code.');
  if (check && changed.length > 0) process.exitCode = 1;
}
