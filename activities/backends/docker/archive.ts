import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import type { AgentBundle, BootstrapFile } from '../../../contracts/messages/bootstrap-file.ts';
import { AGENT_FOLDER, BOOTSTRAP_NAME } from './container-options.ts';

/** Packs the agent's folder as a tar, owned by the instance's user and readable only by it. Holds a secret. */
export async function packAgent(
  agent: AgentBundle,
  bootstrap: BootstrapFile,
  { uid, gid }: { uid: number; gid: number },
): Promise<Buffer> {
  const folder = AGENT_FOLDER.slice(1);
  const archive = pack();
  const content = buffer(archive);
  archive.entry({ name: `${folder}/`, type: 'directory', mode: 0o700, uid, gid });
  for (const file of agent.files) {
    archive.entry({ name: `${folder}/${file.name}`, mode: file.executable ? 0o500 : 0o400, uid, gid }, file.content);
  }
  archive.entry({ name: `${folder}/${BOOTSTRAP_NAME}`, mode: 0o400, uid, gid }, JSON.stringify(bootstrap));
  archive.finalize();
  return content;
}
