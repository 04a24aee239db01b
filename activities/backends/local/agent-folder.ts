import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentBundle } from '../../../contracts/messages/bootstrap-file.ts';
import { hasCode } from './instance-folder.ts';

/**
 * Writes the agent's files into a folder that all instances on this machine share. Its name contains the bundle's hash,
 * so that instances created by an older Baton still have their own.
 *
 * @returns the folder's path
 */
export async function installAgent(parent: string, agent: AgentBundle): Promise<string> {
  const folder = join(parent, `.agent-${agent.hash.slice(0, 16)}`);
  const staged = join(parent, `.new-${randomUUID()}`);
  await mkdir(staged, { recursive: true, mode: 0o700 });
  for (const file of agent.files) {
    await writeFile(join(staged, file.name), file.content, { mode: file.executable ? 0o500 : 0o400 });
  }
  try {
    await rename(staged, folder);
  } catch (error) {
    // Another backend process, or this one before its restart, was first.
    if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error;
    await rm(staged, { recursive: true, force: true });
  }
  return folder;
}
