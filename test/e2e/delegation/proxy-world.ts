import { join } from 'node:path';
import { SimControl } from '../../support/simulator-control.ts';
import { bundleFakeRunner } from '../../../services/simulator/runner/bundle.ts';
import { startSimulator, type Simulator } from '../../../services/simulator/simulator.ts';
import type { TemporaryFolder } from '../../support/cleanup.ts';
import { testGroup, writeConfig } from '../../support/config.ts';
import { startFaultProxy, type FaultProxy } from '../../support/fault-proxy.ts';
import { startNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { FORGE_TOKEN, type ProxySurroundings } from './proxy.ts';
import { LABEL, TOKEN_KEY } from './world.ts';

/** What a proxy needs around it: the simulator with its runner in place of the forge's, a real ingress and NATS. */
export interface ProxyWorld {
  ingress: TestService;
  forge: Simulator;
  sim: SimControl;
  /** In front of the ingress. */
  slow: FaultProxy;
  surroundings: ProxySurroundings;
  /** Has requests to the ingress wait. @returns ends that */
  closeGate(): () => void;
  /** New requests no longer wait; those that do, do so until the end. */
  openGate(): void;
  /** Ends all of it, but removes no folder. */
  stop(): Promise<void>;
}

/** Starts a {@link ProxyWorld} for proxies of these names, with its files in the folder. */
export async function startProxyWorld(folder: TemporaryFolder, names: string[]): Promise<ProxyWorld> {
  const cleanups: (() => void)[] = [];
  let gate = Promise.resolve();
  await bundleFakeRunner(join(folder.path, 'runner'));
  const nats = await startNats();
  const config = writeConfig(folder.path, {
    nats: nats.address,
    groups: [testGroup('ephemeral', [LABEL, 'ephemeral', 'container'])],
    delegation: { token_keys: [TOKEN_KEY], proxies: [{ names, labels: [LABEL], group: 'ephemeral' }] },
  });
  const ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 's' } });
  await ingress.ready();
  const slow = await startFaultProxy(ingress.address, async (_call, forward) => {
    await gate;
    return await forward();
  });
  const forge = await startSimulator({ repositories: ['acme/hello'], tokens: [FORGE_TOKEN], timing: { sweepMs: 50 } });
  return {
    ingress,
    forge,
    sim: new SimControl(forge.address),
    slow,
    surroundings: {
      dir: folder.path,
      forge: forge.address,
      url: slow.address,
      onStop: (cleanup) => void cleanups.push(cleanup),
    },
    closeGate: () => {
      let release: () => void = () => {};
      gate = new Promise((resolve) => (release = resolve));
      cleanups.push(release);
      return release;
    },
    openGate: () => {
      gate = Promise.resolve();
    },
    stop: async () => {
      for (const cleanup of cleanups) cleanup();
      await slow.close();
      await forge.close();
      await ingress.stop();
      await nats.stop();
    },
  };
}
