import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].map((file) => join(ROOT, file)),
  ...['deploy', 'services'].flatMap((room) =>
    readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md'))
      .map((file) => join(ROOT, room, file)),
  ),
];

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(file: string): Set<string> {
  return new Set(
    [...proseOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
}

/** A page without its code blocks. */
function proseOf(file: string): string {
  return readFileSync(file, 'utf8').replaceAll(/```[^]*?```/g, '');
}

/** The targets of `[text](target)` and of `[name]: target`, but for other sites' addresses. */
function linksOf(page: string): { target: string; file: string; anchor: string | undefined }[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)|^\[[^\]]+\]: (\S+)/gm)]
    .map(([, inline, named]) => inline ?? named ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { target, file: path === '' ? page : resolve(dirname(page), path), anchor };
    });
}

describe('the links of the docs', () => {
  it.each(pages.map((page) => relative(ROOT, page)))('%s links to no file that is missing', (page) => {
    const missing = linksOf(join(ROOT, page)).filter(({ file }) => !existsSync(file));
    expect(missing.map(({ target }) => target)).toEqual([]);
  });

  it.each(pages.map((page) => relative(ROOT, page)))('%s links to no heading that is missing', (page) => {
    const missing = linksOf(join(ROOT, page)).filter(
      ({ file, anchor }) =>
        anchor !== undefined && file.endsWith('.md') && existsSync(file) && !anchorsOf(file).has(anchor),
    );
    expect(missing.map(({ target }) => target)).toEqual([]);
  });

  it.each(pages.map((page) => relative(ROOT, page)))('%s defines every link that it names', (page) => {
    const text = proseOf(join(ROOT, page));
    const defined = new Set([...text.matchAll(/^\[([^\]]+)\]: /gm)].map(([, name = '']) => name));
    const named = [...text.matchAll(/\[([^\]]+)\]\[\]/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !defined.has(name))).toEqual([]);
  });

  it.each(pages.map((page) => relative(ROOT, page)))('%s names no file of the repository that is missing', (page) => {
    const rooms = 'contracts|workflows|activities|hooks|services|deploy|test';
    const named = [...proseOf(join(ROOT, page)).matchAll(new RegExp(`\`((?:${rooms})/[\\w./-]+)\``, 'g'))]
      .map(([, path = '']) => path)
      // A name that the reader chooses.
      .filter((path) => !path.includes('NAME'));
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
