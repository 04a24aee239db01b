import { readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join, parse } from 'node:path';

/** How many entries that could not be removed are named. */
const MAX_NAMED = 5;

/**
 * Empties the job's workspace. The folder itself stays: it is the working directory of the forge's runner.
 *
 * @throws Error that names what could not be removed, such as files of root that a container left
 */
export function cleanWorkspace(workspace: string | undefined): void {
  if (workspace === undefined || !isAbsolute(workspace) || parse(workspace).root === workspace) {
    throw new Error(`GITHUB_WORKSPACE is not a folder that Baton may empty: "${workspace ?? ''}"`);
  }
  const left: string[] = [];
  let removed = 0;
  for (const name of readdirSync(workspace)) {
    try {
      rmSync(join(workspace, name), { recursive: true, force: true, maxRetries: 2 });
      removed += 1;
    } catch {
      left.push(name);
    }
  }
  console.log(`Removed ${removed} entries of ${workspace}`);
  if (left.length === 0) return;
  const more = left.length > MAX_NAMED ? ` and ${left.length - MAX_NAMED} more` : '';
  throw new Error(`could not remove ${left.slice(0, MAX_NAMED).join(', ')}${more}: probably the files of another user`);
}
