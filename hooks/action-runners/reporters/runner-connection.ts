import type { InstanceTls } from '../../../contracts/messages/bootstrap-file.ts';
import { connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import { runnerInbox } from '../../../contracts/messages/subjects.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { Outbox } from '../../agent/outbox.ts';

export interface RunnerConnectionOptions {
  runner: string;
  natsUrl: string;
  /** Content of a credentials file; empty if the server requires none. */
  credentials: string;
  /** TLS settings. Default: what the server asks for. */
  natsTls?: InstanceTls | undefined;
}

/**
 * A runner's connection to NATS. It is opened by the part that knows the server and the credential: by `github-actions`
 * from its input, otherwise by the command line from the environment. Signals can be sent before that; they wait in the
 * outbox.
 */
export class RunnerConnection {
  readonly outbox: Outbox;
  #provide: (bus: Promise<Bus>) => void = () => undefined;

  constructor(log: Logger) {
    const bus = new Promise<Bus>((resolve) => {
      this.#provide = resolve;
    });
    this.outbox = new Outbox(bus, log);
  }

  /**
   * Connects; waits until the server is reachable.
   *
   * @throws BatonError BUS_DENIED
   */
  async open(options: RunnerConnectionOptions): Promise<Bus> {
    const bus = connectBus({
      url: options.natsUrl,
      tls: options.natsTls,
      name: `agent ${options.runner}`,
      credentials: options.credentials === '' ? undefined : options.credentials,
      inboxPrefix: runnerInbox(options.runner),
    });
    this.#provide(bus);
    return await bus;
  }
}
