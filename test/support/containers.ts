import { readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { acquireLock } from '../../contracts/lib/file-lock.mjs';
import { buildInstanceImage } from '../../deploy/images/instance-image.ts';
import { startBridge } from '../../services/cli/start/bridge.ts';
import { CONTAINER_HOST } from '../../services/cli/start/container-host.ts';
import { findBridgeGateway } from '../../services/cli/start/engine.ts';
import { removeFromEngine } from './docker.ts';

const IMAGE = 'baton-test-runner';
/** Where GitHub's own runner image has its program. */
const RUNNER_FOLDER = '/home/runner';

/**
 * Builds an image with the fake runner program from this machine's files and those in `folder`, unless an image of the
 * same content exists.
 *
 * @param docker the engine, by default this machine's
 * @returns the image's name
 */
export async function buildRunnerImage(folder: string, docker = new Docker()): Promise<string> {
  const files = readdirSync(folder).map((name) => {
    return { path: `${RUNNER_FOLDER}/${name}`, content: readFileSync(join(folder, name)), mode: 0o755 };
  });
  // Test files run in parallel, and of two imports under one name one would lose its name.
  const lock = await acquireLock(join(tmpdir(), `${IMAGE}.lock`));
  try {
    await buildInstanceImage(docker, IMAGE, { files });
  } finally {
    lock.release();
  }
  return IMAGE;
}

export interface ContainerAccess {
  /** Replaces this machine's loopback address in a URL by the host name that containers use. */
  rename(url: string): string;
  close(): Promise<void>;
}

/** Lets containers reach these ports of this machine's loopback interface, and no others. */
export async function openContainerAccess(ports: readonly number[]): Promise<ContainerAccess> {
  const gateway = await findBridgeGateway(new Docker());
  if (gateway === undefined) throw new Error('the engine has no bridge network of its own');
  const bridge = await startBridge(gateway, ports);
  return { rename: (url) => url.replace('127.0.0.1', CONTAINER_HOST), close: () => bridge.stop() };
}

/** Removes what is left of an installation's containers and networks. */
export async function removeContainers(installation: string): Promise<void> {
  const docker = new Docker();
  await removeFromEngine(docker, { label: [`baton.installation=${installation}`] });
  // Of a check of the packet filter that was interrupted.
  await removeFromEngine(docker, { label: [`baton.filter=${installation}`] });
}
