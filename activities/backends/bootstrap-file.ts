import type { BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';
import type { Bootstrap, InstanceSpec } from '../../contracts/ports/backend.ts';

/**
 * The content of an instance's bootstrap file, which the agent reads when it starts. Holds a secret.
 *
 * @param socket the path of the socket where the agent listens for hooks
 */
export function toBootstrapFile(spec: InstanceSpec, bootstrap: Bootstrap, socket: string): BootstrapFile {
  return {
    version: 1,
    runner: spec.runner,
    ...bootstrap,
    program: spec.program,
    startBy: spec.startBy,
    expiresAt: spec.expiresAt,
    madeAt: new Date().toISOString(),
    socket,
  };
}
