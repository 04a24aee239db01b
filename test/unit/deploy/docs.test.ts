import { readdirSync, readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../../contracts/errors.ts';
import { registerRelayMetrics } from '../../../services/relay/metrics.ts';
import { PAGES } from '../../tools/docs/write.ts';
import { findMetrics, readMetrics } from '../../tools/docs/metrics-source.ts';

const readPage = (page: string): string =>
  readFileSync(new URL(`../../../deploy/docs/${page}`, import.meta.url), 'utf8');

describe('the generated pages of the docs', () => {
  it.each(Object.entries(PAGES))('%s is what `npm run docs` writes', async (page, make) => {
    expect(readPage(page)).toBe(await make());
  });
});

describe('the page of metrics', () => {
  it('has every metric that a service names', () => {
    const page = readPage('reference/metrics.md');
    expect(readMetrics().length).toBeGreaterThan(30);
    for (const { name } of readMetrics()) expect(page).toContain(`\`${name}\``);
  });

  it('says of a metric what the running service says of it', async () => {
    const registry = new Registry();
    registerRelayMetrics(registry);
    const registered = (await registry.getMetricsAsJSON()).map(({ name, help, type }) => ({
      name,
      help,
      type: String(type),
    }));
    const found = readMetrics().map(({ name, help, type }) => ({ name, help, type }));
    expect(registered.length).toBeGreaterThan(3);
    expect(found).toEqual(expect.arrayContaining(registered));
  });

  it.each([
    ['a name that is no literal', 'new Counter({ name: prefix + suffix, help: "?" })'],
    ['a name that is passed through something unknown', "count('baton_x_total', 'What it counts')"],
    ['no help text', "new Gauge({ name: 'baton_x', registers })"],
    ['labels that are not in the file', "new Gauge({ name: 'baton_x', help: 'What it is', labelNames: LABELS })"],
  ])('cannot miss a metric: %s is an error', (_what, source) => {
    expect(() => findMetrics(source, 'relay/metrics.ts')).toThrow('relay/metrics.ts: ');
  });

  it('reads labels from a constant and names from a function of the file', () => {
    const source = `
const LABELS = ['group', 'backend'] as const;
function gauge(name: string, help: string): void {
  new Gauge({ name, help, labelNames: ['budget'] });
}
new Counter({ name: 'baton_a_total', help: 'A', labelNames: [...LABELS, 'market'] });
gauge('baton_b', 'B');
`;
    expect(findMetrics(source, 'proxy/metrics.ts')).toEqual([
      { name: 'baton_a_total', type: 'counter', help: 'A', labels: ['group', 'backend', 'market'], service: 'proxy' },
      { name: 'baton_b', type: 'gauge', help: 'B', labels: ['budget'], service: 'proxy' },
    ]);
  });
});

describe('the guides', () => {
  const root = new URL('../../../', import.meta.url);
  const sources = ['contracts', 'hooks', 'services', 'deploy', 'test']
    .flatMap((room) =>
      readdirSync(new URL(room, root), { recursive: true, encoding: 'utf8' }).map((file) => `${room}/${file}`),
    )
    .filter((file) => /\.(ts|mjs|sh|ps1|yml)$/.test(file))
    .map((file) => readFileSync(new URL(file, root), 'utf8'))
    .join('\n');
  const guides = readdirSync(new URL('../../../deploy/docs/guides', import.meta.url), {
    recursive: true,
    encoding: 'utf8',
  }).filter((file) => file.endsWith('.md'));

  it.each(guides)('%s names no metric that does not exist', (guide) => {
    const known = new Set(readMetrics().map(({ name }) => name));
    const named = [...readPage(`guides/${guide}`).matchAll(/\bbaton_[a-z_]+[a-z]\b/g)].map(([name]) => name);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it.each(guides)('%s names no environment variable that nothing reads', (guide) => {
    // Names that the reader chooses.
    const chosen = new Set(['BATON_APP_KEY', 'BATON_TOKEN']);
    const named = [...readPage(`guides/${guide}`).matchAll(/`(BATON_[A-Z_]*[A-Z])`/g)].map(([, name = '']) => name);
    const unknown = named.filter((name) => !chosen.has(name) && !sources.includes(name));
    expect(unknown).toEqual([]);
  });

  it('of troubleshooting names no error code that does not exist', () => {
    const named = [...readPage('guides/troubleshoot.md').matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(
      ([, code = '']) => code,
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((code) => !code.startsWith('BATON_') && !(code in ERRORS))).toEqual([]);
  });
});
