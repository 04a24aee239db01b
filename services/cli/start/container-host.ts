import { getErrorMessage } from '../../../contracts/errors.ts';
import { startBridge } from './bridge.ts';
import { findBridgeGateway, type Engine } from './engine.ts';
import { print } from '../lib/print.ts';
import type { Cleanups } from './cleanups.ts';

/** The name by which containers know this machine. */
export const CONTAINER_HOST = 'host.docker.internal';

/**
 * Lets containers reach `ports` of this machine's 127.0.0.1 as `host.docker.internal`. On Linux that name stands for the
 * address of Docker's own bridge, where a forwarder then listens; an engine in a virtual machine forwards it by itself.
 */
export async function exposeToContainers(engine: Engine, ports: readonly number[], cleanups: Cleanups): Promise<void> {
  const gateway = await findBridgeGateway(engine.docker);
  if (gateway === undefined) return;
  try {
    const bridge = await startBridge(gateway, ports);
    await cleanups.add(() => bridge.stop());
  } catch (error) {
    // The gateway is not an address of this machine where the engine runs in a virtual machine.
    if (process.platform === 'linux') print(`  containers may not reach this machine: ${getErrorMessage(error)}`);
  }
}
