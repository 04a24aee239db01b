import { connectBus, encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { Status } from '../../contracts/messages/status.ts';
import { temporaryFolder } from './cleanup.ts';
import { writeConfig } from './config.ts';
import { startNats } from './nats.ts';
import { startService, type TestService } from './service.ts';

export interface StatusFixture {
  ingress: TestService;
  bus: Bus;
  /** Answers status requests like an orchestrator, until the returned function is called. */
  respond(answer: () => Status): () => void;
  stop(): Promise<void>;
}

/** Starts an ingress and NATS, without an orchestrator that answers status requests. */
export async function startStatusFixture(name: string): Promise<StatusFixture> {
  const folder = temporaryFolder(name);
  const nats = await startNats();
  const bus = await connectBus({ url: nats.address, name: 'test' });
  const config = writeConfig(folder.path, { nats: nats.address });
  const ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 'secret' } });
  await ingress.ready();
  return {
    ingress,
    bus,
    respond: (answer) => {
      const responder = bus.subscribe(subjects.status, {
        callback: (_error, message) => message.respond(encode(answer())),
      });
      return () => responder.unsubscribe();
    },
    stop: async () => {
      await bus.close();
      await ingress.kill();
      await nats.stop();
      folder.remove();
    },
  };
}
