import { z } from 'zod';
import { GceProject } from '../../contract/backend/gce-server/project.ts';
import type { Machine as GceMachine } from '../../contract/backend/gce-server/cloud.ts';
import { bootMachine, type TestMachine } from './machine.ts';

/** Boots a machine for each instance of a project: a container that runs the startup script. */
export class GceMachines {
  readonly project: GceProject;
  /** How often each runner's instance was booted. */
  readonly boots = new Map<string, number>();
  readonly #machines = new Map<GceMachine, Promise<TestMachine>>();

  private constructor(project: GceProject) {
    this.project = project;
  }

  /**
   * @param image of machines
   * @param labels of their containers
   */
  static async start(image: string, labels: Record<string, string>, operationMs = 200): Promise<GceMachines> {
    const project = await GceProject.start({ operationMs });
    const all = new GceMachines(project);
    project.server.cloud.options.onBoot = (instance) => all.#boot(instance, image, labels);
    project.server.cloud.options.onPowerCut = (instance) => {
      // One that failed to boot has no power to cut.
      all.#machines.get(instance)?.then(
        (machine) => machine.cut(),
        () => undefined,
      );
    };
    return all;
  }

  stop(): Promise<void> {
    return this.project.stop();
  }

  /** The labels of that runner's instance. */
  readTags(runner: string): Promise<Record<string, string>> {
    return Promise.resolve(
      z.record(z.string(), z.string()).parse(this.#findInstance(runner)?.resource['labels'] ?? {}),
    );
  }

  /** Runs a script as root on that runner's machine. */
  async inside(runner: string, script: string): Promise<string> {
    const instance = this.#findInstance(runner);
    const machine = instance && (await this.#machines.get(instance));
    if (machine === undefined) throw new Error(`${runner} has no machine that is on`);
    return machine.inside(script);
  }

  #findInstance(runner: string): GceMachine | undefined {
    return [...this.project.server.cloud.machines.values()].find(({ name }) => name === runner);
  }

  #boot(instance: GceMachine, image: string, labels: Record<string, string>): void {
    const { zone, name, body } = instance;
    this.boots.set(name, (this.boots.get(name) ?? 0) + 1);
    const userData = body.metadata.items.find(({ key }) => key === 'startup-script')?.value ?? '';
    const booting = bootMachine({ image, name: `${name}-${zone}`, userData, labels });
    this.#machines.set(instance, booting);
    const off = async (): Promise<void> => {
      await (
        await booting
      ).off;
      if (this.project.server.cloud.machines.get(`${zone}/${name}`) === instance) {
        this.project.server.cloud.powerOff(zone, name);
      }
    };
    // Its power was cut while it was booting.
    off().catch(() => undefined);
  }
}
