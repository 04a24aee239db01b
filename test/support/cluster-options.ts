import type { SimulatorOptions } from '../../services/simulator/settings.ts';
import type { Simulator } from '../../services/simulator/simulator.ts';

/** What a cluster of tests is made of. */
export interface ClusterOptions {
  /**
   * `backends:`, `groups:` and other keys of baton.yaml. `ROOT` stands for the cluster's folder; the fake runner program is in
   * `ROOT/runner`. With `containers`, `IMAGE` is an image with the fake runner, and `NATS_URL` and
   * `INGRESS_URL` are the addresses of NATS and an ingress for its containers.
   */
  config: string;
  /** Copies of each service. Default 2. */
  copies?: number;
  /** Names of the backends that get workers. */
  backends: string[];
  /**
   * The simulator has GitHub's limits, but `busy` has no lag, and a program ends when its registration is removed: most tests would
   * only wait for these. Its own options come
   * first. Baton keeps its limit on points, `secondaryPoints`; 0: none.
   */
  simulator?: Partial<SimulatorOptions>;
  /** Sign in to the forge as so many Apps; the first has the webhook. Default: with a token; the organisation has the webhook. */
  apps?: number;
  /** Another cluster: this one's installation uses the same forge. */
  forgeOwner?: { readonly sim: Simulator };
  /** Whether instances are containers, which then can reach NATS and the simulator on this machine's loopback interface. */
  containers?: boolean;
  /** More environment variables of backend workers, such as a cloud's credential. */
  backendEnv?: Record<string, string>;
  /** More environment variables of every service. */
  env?: Record<string, string>;
  installation?: string;
  /** The services' log level. Default info. */
  logLevel?: 'info' | 'debug' | 'trace';
  /** NATS accepts only TLS, as `localhost`, with a certificate that no system trusts. Default false. */
  tls?: boolean;
  /** Whether Temporal has its Web UI. Default false. */
  ui?: boolean;
  /** Whether Temporal serves its metrics. Default false. */
  temporalMetrics?: boolean;
  /** After how many events Temporal suggests that a workflow continues as new. Default: its own number, 4,096. */
  historyLength?: number;
}
