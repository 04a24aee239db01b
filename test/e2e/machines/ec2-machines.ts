import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  TerminateInstancesCommand,
  type Instance,
} from '@aws-sdk/client-ec2';
import { getErrorMessage } from '../../../contracts/errors.ts';
import { startEmulator, type Emulator } from '../../contract/backend/ec2/emulator.ts';
import { bootMachine, type TestMachine } from './machine.ts';

/** How often the emulator's instances are read. */
const POLL_INTERVAL_MS = 300;

/**
 * Boots a machine for each of the emulator's instances: a container that runs the user data. An instance whose machine
 * powers itself off is terminated; a terminated instance's machine loses its power.
 */
export class Ec2Machines {
  readonly emulator: Emulator;
  /** How often each runner's instance was booted. */
  readonly boots = new Map<string, number>();
  /** Errors of background work. */
  readonly faults: string[] = [];
  /** While this is true, new instances are running by EC2's API, but do not boot yet. */
  held = false;
  readonly #machines = new Map<string, Promise<TestMachine>>();
  readonly #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  private constructor(emulator: Emulator) {
    this.emulator = emulator;
  }

  /**
   * @param program moto's server, installed
   * @param image of machines
   * @param labels of their containers
   */
  static async start(program: string, image: string, labels: Record<string, string>): Promise<Ec2Machines> {
    const all = new Ec2Machines(await startEmulator(program));
    all.#watching = all.#watch(image, labels);
    return all;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    await this.emulator.stop();
  }

  /** The runner names of an installation's instances that are not terminated. */
  async findRunners(installation: string): Promise<string[]> {
    const found = await this.#instances();
    return found
      .filter(
        (instance) => findTag(instance, 'baton.installation') === installation && instance.State?.Name !== 'terminated',
      )
      .map((instance) => findTag(instance, 'Name'));
  }

  /** The tags of that runner's instance. */
  async readTags(runner: string): Promise<Record<string, string>> {
    const found = (await this.#instances()).find((instance) => findTag(instance, 'Name') === runner);
    return Object.fromEntries((found?.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
  }

  /** Runs a script as root on that runner's machine. */
  async inside(runner: string, script: string): Promise<string> {
    const found = (await this.#instances()).find((instance) => findTag(instance, 'Name') === runner);
    const machine = await this.#machines.get(found?.InstanceId ?? '');
    if (machine === undefined) throw new Error(`${runner} has no machine that is on`);
    return machine.inside(script);
  }

  async #instances(): Promise<Instance[]> {
    const { Reservations: reservations = [] } = await this.emulator.direct.send(new DescribeInstancesCommand({}));
    return reservations.flatMap(({ Instances: instances = [] }) => instances);
  }

  async #watch(image: string, labels: Record<string, string>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for (const instance of await this.#instances()) this.#follow(instance, image, labels);
      } catch (error) {
        this.faults.push(`listing instances: ${getErrorMessage(error)}`);
      }
      await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #follow(instance: Instance, image: string, labels: Record<string, string>): void {
    const { InstanceId: id = '', State: state } = instance;
    const machine = this.#machines.get(id);
    if (state?.Name === 'running' && machine === undefined && !this.held) {
      const name = findTag(instance, 'Name');
      this.boots.set(name, (this.boots.get(name) ?? 0) + 1);
      const booting = this.#boot(id, { image, name: `${name}-${id}`, labels });
      this.#machines.set(id, booting);
      booting.catch((error: unknown) => this.faults.push(`booting ${name}: ${getErrorMessage(error)}`));
    } else if (state?.Name === 'terminated' && machine !== undefined) {
      this.#machines.delete(id);
      void machine.then(
        (on) => on.cut(),
        () => undefined,
      );
    }
  }

  async #boot(
    id: string,
    order: { image: string; name: string; labels: Record<string, string> },
  ): Promise<TestMachine> {
    const { direct } = this.emulator;
    const command = new DescribeInstanceAttributeCommand({ InstanceId: id, Attribute: 'userData' });
    const { UserData: found } = await direct.send(command);
    const userData = Buffer.from(found?.Value ?? '', 'base64').toString();
    const machine = await bootMachine({ ...order, userData });
    // Its shutdown behavior is to terminate. After a power cut it is terminated already.
    machine.off
      .catch(() => undefined)
      .then(() => direct.send(new TerminateInstancesCommand({ InstanceIds: [id] })))
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.faults.push(`terminating ${order.name}: ${getErrorMessage(error)}`);
      });
    return machine;
  }
}

function findTag({ Tags: tags = [] }: Instance, key: string): string {
  return tags.find(({ Key }) => Key === key)?.Value ?? '';
}
