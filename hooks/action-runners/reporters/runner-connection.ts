import type { InstanceTls } from '../../../contracts/messages/bootstrap-file.ts';
import { connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import { runnerInbox } from '../../../contracts/messages/subjects.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { Outbox } from '../../agent/outbox.ts';

export interface RunnerConnectionOptions {
  runner: string;
  natsUrl: string;
  /** Content of a credentials file; empty where the server asks for none. */
  credentials: string;
  /** How the server is trusted; absent: as it wants. */
  natsTls?: InstanceTls | undefined;
}

/**
 * A runner's one connection to NATS, which whoever knows the way opens: `github-actions` from its input, which names
 * server and credential, else the command line from the environment. Signals may be sent before that.
 */
export class RunnerConnection {
  readonly outbox: Outbox;
  #give: (bus: Promise<Bus>) => void = () => undefined;

  constructor(log: Logger) {
    const bus = new Promise<Bus>((resolve) => {
      this.#give = resolve;
    });
    this.outbox = new Outbox(bus, log);
  }

  /**
   * Connects; waits for a server that isn't there yet.
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
    this.#give(bus);
    return await bus;
  }
}
