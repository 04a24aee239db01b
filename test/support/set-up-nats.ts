import { connectBus, type BusOptions } from '../../contracts/lib/nats.ts';
import { setUpBus } from '../../deploy/nats/set-up-bus.ts';

/** Creates the streams, as `baton setup nats` does. `credentialsFile`: undefined for a server without accounts. */
export async function setUpNats(options: Pick<BusOptions, 'url' | 'credentialsFile' | 'tls'>): Promise<void> {
  const bus = await connectBus({ ...options, name: 'set-up' });
  try {
    await setUpBus(bus);
  } finally {
    await bus.close();
  }
}
