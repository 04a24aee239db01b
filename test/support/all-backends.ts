import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { stringify } from 'yaml';
import { findBridgeGateway } from '../../services/cli/start/engine.ts';
import { Ec2Machines } from '../e2e/machines/ec2-machines.ts';
import { GceMachines } from '../e2e/machines/gce-machines.ts';
import { machineImage, removeMachines } from '../e2e/machines/machine.ts';
import { bundleFakeRunner } from '../../services/simulator/runner/bundle.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { Cluster } from './cluster.ts';

/** Each has one group of the same name. */
export const BACKENDS = ['docker', 'local', 'gce', 'ec2'] as const;
export type BackendName = (typeof BACKENDS)[number];

const ENGINE = '/var/run/docker.sock';
/** `max` of each group. */
const MAX = 3;

/** An installation with a backend of each kind. The clouds' machines are containers that boot like bare machines. */
export class AllBackends {
  readonly cluster: Cluster;
  readonly gce: GceMachines;
  readonly ec2: Ec2Machines;
  /** The proxy between the docker backend and the engine. */
  readonly engine: FaultProxy;

  private constructor(parts: Pick<AllBackends, 'cluster' | 'gce' | 'ec2' | 'engine'>) {
    this.cluster = parts.cluster;
    this.gce = parts.gce;
    this.ec2 = parts.ec2;
    this.engine = parts.engine;
  }

  /** @param moto the program of the EC2 emulator */
  static async start(moto: string): Promise<AllBackends> {
    const undo: (() => Promise<unknown>)[] = [];
    const undoAll = async (): Promise<void> => {
      for (const step of undo.splice(0).toReversed()) await step();
    };
    try {
      const label = `clouds-e2e-${process.pid}`;
      const labels = { 'baton.test': label };
      const image = await buildImageWithRunner();
      undo.push(() => removeMachines(`baton.test=${label}`));
      const gce = await GceMachines.start(image, labels);
      undo.push(() => gce.stop());
      const ec2 = await Ec2Machines.start(moto, image, labels);
      undo.push(() => ec2.stop());
      const engine = await startFaultProxy(ENGINE);
      undo.push(() => engine.close());
      const cloud = { poll: '1s', ingress_url: 'INGRESS_URL', nats_url: 'NATS_URL' };
      const backends: Record<BackendName, Record<string, unknown>> = {
        docker: {
          type: 'docker',
          socket: engine.address.replace('http:', 'tcp:'),
          network_pool: '10.218.0.0/16',
          nats_url: 'NATS_URL',
        },
        local: { type: 'local', root: 'ROOT/local' },
        gce: { ...gce.project.settings(), ...cloud },
        ec2: ec2.emulator.config(cloud),
      };
      const groups = BACKENDS.map((name) => ({
        name,
        organization: 'acme',
        labels: [name],
        backend: name,
        max: MAX,
        ...(name === 'docker' ? { instance: { image: 'IMAGE' } } : {}),
        ...(name === 'local' ? { runner: { directory: 'ROOT/runner' } } : {}),
      }));
      const cluster = await Cluster.start({
        copies: 1,
        backends: [...BACKENDS],
        containers: true,
        backendEnv: {
          GCE_METADATA_HOST: gce.project.server.metadataHost,
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
          AWS_EC2_METADATA_DISABLED: 'true',
        },
        config: stringify({ backends, groups }),
      });
      cluster.onStop(undoAll);
      // Only the address works for processes of this machine and for containers alike.
      const gateway = await findBridgeGateway(new Docker());
      const urls = cluster.sim.sim.urls;
      urls.runner = urls.runner.replace('host.docker.internal', gateway ?? '');
      return new AllBackends({ cluster, gce, ec2, engine });
    } catch (error) {
      await undoAll();
      throw error;
    }
  }
}

/** Builds a bare machine image with the fake runner in it. */
async function buildImageWithRunner(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-runner-'));
  try {
    await bundleFakeRunner(folder);
    const files = readdirSync(folder).map((name) => {
      return { path: `/home/runner/${name}`, content: readFileSync(join(folder, name)), mode: 0o755 };
    });
    return await machineImage('baton-test-machine-runner', files);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
