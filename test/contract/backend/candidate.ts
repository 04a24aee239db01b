import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../../contracts/ports/backend.ts';
import type { Answer, Call, FaultProxy } from '../../support/fault-proxy.ts';
import type { Row } from './rows.ts';

/** A backend under test, and what the suite cannot do through its interface. */
export interface Candidate {
  /** What it runs against, for the table: `Docker engine`, `moto 5`. */
  against: string;
  /** Opens the backend as another process would: only the machine (or the cloud) is shared. */
  open(installation: string): Backend;
  spec(installation: string, runner: string): InstanceSpec;
  /** The backend's configuration for create-main.ts, a process that creates an instance and is killed meanwhile. */
  config: object;
  /** The moments to kill that process, in milliseconds after it began. */
  killAfterMs: number[];
  /** What a process that died during a create can leave behind, each with a name for the test. */
  partialCreates: [what: string, make: (spec: InstanceSpec) => Promise<void>][];
  /** Makes the instance die, from outside. */
  kill(instance: Instance): Promise<void>;
  /** What the backend reports of a killed instance: a cloud knows no exit code. */
  killed: { exitCode: number | null; reason: RegExp };
  /** All resources of these installations: containers, networks, processes, folders, machines, disks. */
  listLeftovers(installations: string[]): Promise<string[]>;
  /**
   * Creates this many instances of the installation without the backend; resolves with a function that removes them.
   */
  createMany?: (installation: string, count: number) => Promise<() => Promise<void>>;
  /** Reads an instance's tags, and sets one, without the backend. Present where the backend supports tags. */
  tags?: { read(instance: Instance): Promise<Record<string, string>>; set(instance: Instance): Promise<void> };
  /** Ends what the candidate started, after the last row. */
  stop?: () => Promise<void>;
  faults?: Faults;
  capacity?: Capacity;
  /** Rows that do not apply to this backend, each with the reason. */
  absent: Partial<Record<Row, string>>;
}

/** How to make the backend's API fail. */
export interface Faults {
  proxy: FaultProxy;
  /** A backend whose every call goes through the proxy. */
  open(installation: string): Backend;
  /** The call that creates an instance, those that look for instances, and the one that removes an instance. */
  isCreate: (call: Call) => boolean;
  isLook: (call: Call) => boolean;
  isDelete: (call: Call) => boolean;
  /** The API's own answers. */
  failed: Answer;
  throttled?: Answer;
  expired?: Answer;
  /** The look-ups whose answers lag behind; absent: all of them. */
  isLagging?: (call: Call) => boolean;
  /** The answer to a look-up that comes too early. Present where lists lag behind. */
  emptyList?: (call: Call) => Answer;
}

/** A backend with two placements, in order. */
export interface Capacity {
  open(installation: string): Backend;
  /** Whether a call creates an instance at that placement, and the API's answer when it has no capacity. */
  isCreateIn: (call: Call, placement: 'first' | 'second') => boolean;
  exhausted: Answer | ((call: Call) => Answer);
  /** The placement of an instance. */
  findPlacement(instance: Instance): Promise<'first' | 'second'>;
}

/** The agent waits for this server, so that the instance runs until the test ends it. */
export const BOOTSTRAP: Bootstrap = { natsUrl: 'nats://127.0.0.1:1', credentials: 'SECRET-CREDENTIAL' };
