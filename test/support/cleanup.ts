import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface TemporaryFolder {
  path: string;
  /** Writes a file in it, with the folders on the way; returns its path. */
  write: (name: string, content: string, mode?: number) => string;
  remove: () => void;
}

/** A new folder for temporary files; removed by `remove`, and at the latest when this process ends. */
export function temporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `baton-test-${name}-`));
  const remove = (): void => {
    process.removeListener('exit', remove);
    // A server that is just ending may still write.
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', remove);
  const write = (file: string, content: string, mode = 0o644): string => {
    const target = join(path, file);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content, { mode });
    return target;
  };
  return { path, write, remove };
}
