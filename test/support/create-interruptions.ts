import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { expect } from 'vitest';
import { isAction } from '../contract/backend/ec2/answers.ts';
import type { AllBackends, BackendName } from './all-backends.ts';
import { until } from './until.ts';

/** Where each backend is kept in the middle of a create, so that its worker can be killed just there. */

/** How long a worker that is held goes on between two looks at it, milliseconds. */
const STEP_MS = 2;
/** How often jobs are ordered for a worker that is stepped through, and how long it is then looked at, milliseconds. */
const MAX_ORDERS = 8;
const ORDER_TIMEOUT_MS = 10_000;

export interface CreateInterruption {
  /**
   * Orders jobs by `order` and resolves, with their runners, when instances are being made whose creates have not been
   * answered.
   */
  caught: (order: () => Promise<void>) => Promise<string[]>;
  /** For those that come after the kill: nothing is in their way. */
  repair: () => void;
  /** Lets instances go on that had to wait until somebody took them over. */
  release: () => void;
}

const nothing = (): void => undefined;

/** @param count of instances that are being made */
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

  /** The engine makes containers and never says so: they don't run, and nothing is in them. */
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

  /** Steps through the worker until a folder is there and the process in it is not yet known; it stays stopped. */
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
      throw new Error('no instance was ever seen half made');
    };
    const release = (): void => {
      try {
        process.kill(group, 'SIGCONT');
      } catch {
        // It was killed, as it should be.
      }
    };
    return { caught, repair: nothing, release };
  }

  /** Operations that do not end: each create waits for its own. */
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

  /** EC2 makes instances and never says so; they boot when somebody has found them. */
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
