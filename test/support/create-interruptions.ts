import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { expect } from 'vitest';
import { isAction } from '../contract/backend/ec2/answers.ts';
import type { AllBackends, BackendName } from './all-backends.ts';
import { until } from './until.ts';

/** Stops each backend in the middle of creating instances, so that a test can kill its worker just then. */

/** How long the worker runs between two checks, while it is stepped through. */
const STEP_MS = 2;
/** How often jobs are queued for a worker that is stepped through, and for how long it is then checked. */
const MAX_ORDERS = 8;
const ORDER_TIMEOUT_MS = 10_000;

export interface CreateInterruption {
  /**
   * Queues jobs by calling `order`. Resolves with their runners when the instances are being created and the create
   * calls have not been answered.
   */
  caught: (order: () => Promise<void>) => Promise<string[]>;
  /** Ends the interruption, for the create calls after the kill. */
  repair: () => void;
  /** Lets instances continue that had to wait until a new worker adopted them. */
  release: () => void;
}

const nothing = (): void => undefined;

/** @param count how many instances are being created */
export function interruptCreates(all: AllBackends, count: number): Record<BackendName, CreateInterruption> {
  const { cluster, engine, gce, ec2 } = all;
  const untilMade =
    (look: () => string[] | Promise<string[]>): CreateInterruption['caught'] =>
    async (order) => {
      await order();
      return until(async () => {
        const found = await look();
        expect(found).toHaveLength(count);
        return found;
      });
    };

  /** The engine creates containers and never answers: they are empty and do not run. */
  function docker(): CreateInterruption {
    const silence = engine.inject({
      when: ({ method, path }) => method === 'POST' && /\/containers\/create\b/.test(path),
      fault: { kind: 'hang-after' },
    });
    const filters = { label: [`baton.installation=${cluster.installation}`], status: ['created'] };
    const look = async (): Promise<string[]> => {
      const found = await new Docker().listContainers({ all: true, filters });
      return found.map(({ Names: [name = ''] }) => name.slice(1));
    };
    return { caught: untilMade(look), repair: () => silence.remove(), release: nothing };
  }

  /** Steps through the worker until an instance has a folder but no recorded process; the worker stays stopped. */
  function local(): CreateInterruption {
    const folder = join(cluster.dir, 'local', cluster.installation);
    const group = -(cluster.services.get('backend-local-1')?.pid ?? Number.NaN);
    const look = (): string[] =>
      readdirSync(folder).filter((name) => !name.startsWith('.') && !existsSync(join(folder, name, 'process.json')));
    const stepThrough = async (): Promise<string[]> => {
      for (const deadline = Date.now() + ORDER_TIMEOUT_MS; Date.now() < deadline; await sleep(STEP_MS)) {
        process.kill(group, 'SIGSTOP');
        const found = look();
        if (found.length > 0) return found;
        process.kill(group, 'SIGCONT');
      }
      return [];
    };
    const caught: CreateInterruption['caught'] = async (order) => {
      for (let orders = 0; orders < MAX_ORDERS; orders++) {
        const ordered = order();
        const found = await stepThrough();
        await ordered;
        if (found.length > 0) return found;
      }
      throw new Error('no instance was ever found in the middle of its creation');
    };
    const release = (): void => {
      try {
        process.kill(group, 'SIGCONT');
      } catch {
        // It was killed, as intended.
      }
    };
    return { caught, repair: nothing, release };
  }

  /** Operations that do not end: each create call waits for its operation. */
  function slowGce(): CreateInterruption {
    const { cloud } = gce.project.server;
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    cloud.options.gate = gate;
    const look = (): string[] => [...cloud.machines.values()].map(({ name }) => name);
    const repair = (): void => {
      cloud.options.gate = undefined;
      open();
    };
    return { caught: untilMade(look), repair: repair, release: nothing };
  }

  /** EC2 creates instances and never answers; they boot when a new worker has adopted them. */
  function silentEc2(): CreateInterruption {
    const { proxy } = ec2.emulator;
    const silence = proxy.inject({ when: (call) => isAction(call, 'RunInstances'), fault: { kind: 'hang-after' } });
    ec2.held = true;
    return {
      caught: untilMade(() => ec2.findRunners(cluster.installation)),
      repair: () => silence.remove(),
      release: () => void (ec2.held = false),
    };
  }

  return { docker: docker(), local: local(), gce: slowGce(), ec2: silentEc2() };
}
