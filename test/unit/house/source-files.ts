import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const ROOMS = ['contracts', 'workflows', 'activities', 'hooks', 'services', 'deploy', 'test'];

export interface SourceFile {
  /** Relative to the repository. */
  path: string;
  text: string;
}

/** All files of the repository whose path matches, those in its top folder included. */
export function sourceFiles(pattern: RegExp): SourceFile[] {
  const top = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = top.map(({ name }) => name);
  for (const room of ROOMS) {
    const entries = readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true });
    for (const entry of entries) if (entry.isFile()) paths.push(join(entry.parentPath.slice(ROOT.length), entry.name));
  }
  return paths
    .filter((path) => pattern.test(path) && !path.includes('node_modules'))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}
