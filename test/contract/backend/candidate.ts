import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../../contracts/ports/backend.ts';
import type { Answer, Call, FaultProxy } from '../../support/fault-proxy.ts';
import type { Row } from './rows.ts';

/** A backend under test, and what the suite can't do through its interface. */
export interface Candidate {
  /** What it runs against, for the table: `Docker engine`, `moto 5`. */
  against: string;
  /** A backend as another process would have it: nothing is shared but what is on the machine (or in the cloud). */
  open(installation: string): Backend;
  spec(installation: string, runner: string): InstanceSpec;
  /** For a process that makes an instance and is killed meanwhile: what {@link createMain} needs. */
  config: object;
  /** Moments to kill it at, milliseconds after it began. */
  killAfterMs: number[];
  /** What a process that died in the middle leaves behind, by a name for the test. */
  halfMade: [what: string, make: (spec: InstanceSpec) => Promise<void>][];
  /** Makes the instance die, from outside. */
  kill(instance: Instance): Promise<void>;
  /** What is told of one that was killed: a cloud knows no exit code. */
  killed: { exitCode: number | null; reason: RegExp };
  /** All that is there of these installations: containers, networks, processes, folders, machines, disks. */
  leftovers(installations: string[]): Promise<string[]>;
  /** Makes so many instances of that installation, behind the backend's back; resolves to what removes them. */
  many?: (installation: string, count: number) => Promise<() => Promise<void>>;
  /** The tags of a runner's instance, past the backend, and a way for somebody else to set one; given where it can tag. */
  tags?: { read(instance: Instance): Promise<Record<string, string>>; set(instance: Instance): Promise<void> };
  /** Ends what the candidate started, after the last row. */
  stop?: () => Promise<void>;
  faults?: Faults;
  capacity?: Capacity;
  /** Rows that are nothing for this backend, and why. A row that is neither run nor here fails. */
  absent: Partial<Record<Row, string>>;
}

/** How the API between a backend and what makes its instances is made to fail. */
export interface Faults {
  proxy: FaultProxy;
  /** A backend whose every call goes through the proxy. */
  open(installation: string): Backend;
  /** The call that makes the instance, and those by which instances are looked for, and the one that removes one. */
  isCreate: (call: Call) => boolean;
  isLook: (call: Call) => boolean;
  isDelete: (call: Call) => boolean;
  /** The API's own words. */
  failed: Answer;
  throttled?: Answer;
  expired?: Answer;
  /** The looks whose answers lag behind, where that is not all. */
  isLagging?: (call: Call) => boolean;
  /** What a look finds that is too early; given where lists lag behind. */
  emptyList?: (call: Call) => Answer;
}

/** A backend with two places, in order. */
export interface Capacity {
  open(installation: string): Backend;
  /** Whether a call is about making an instance in that place, and the API's words for "none left". */
  isCreateIn: (call: Call, place: 'first' | 'second') => boolean;
  exhausted: Answer | ((call: Call) => Answer);
  /** The place an instance is in. */
  placeOf(instance: Instance): Promise<'first' | 'second'>;
}

/** The agent waits for this server, so that the instance lives until somebody ends it. */
export const BOOTSTRAP: Bootstrap = { natsUrl: 'nats://127.0.0.1:1', credentials: 'SECRET-CREDENTIAL' };
