import { readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join, parse } from 'node:path';

/** How many of what can't be removed are named. */
const NAMED = 5;

/**
 * Empties the job's workspace. The folder itself stays: the forge's runner has it as a working directory.
 *
 * @throws Error naming what could not be removed, as files of root that a container left
 */
export function cleanWorkspace(workspace: string | undefined): void {
  if (workspace === undefined || !isAbsolute(workspace) || parse(workspace).root === workspace) {
    throw new Error(`GITHUB_WORKSPACE is not a folder that may be emptied: "${workspace ?? ''}"`);
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
  const more = left.length > NAMED ? ` and ${left.length - NAMED} more` : '';
  throw new Error(`could not remove ${left.slice(0, NAMED).join(', ')}${more}: another user’s, most likely`);
}
