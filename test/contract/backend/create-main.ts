import { once } from 'node:events';
import { z } from 'zod';
import { backendConfig } from '../../../contracts/config/backend.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { createBackend } from '../../../services/backend/create-backend.ts';

/**
 * A process that creates one instance and is killed meanwhile: prints `ready`, waits for a line, creates the instance,
 * prints `made`, and keeps running.
 */

const spec = z.object({
  installation: z.string(),
  group: z.string(),
  runner: z.string(),
  image: z.string().optional(),
  cpu: z.number().optional(),
  memoryBytes: z.number().optional(),
  pids: z.number(),
  user: z.string(),
  program: z.object({ directory: z.string(), command: z.array(z.string()).optional() }),
  expiresAt: z.string(),
});

const order = z
  .object({ config: backendConfig, spec, bootstrap: z.object({ natsUrl: z.string(), credentials: z.string() }) })
  .parse(JSON.parse(process.argv[2] ?? ''));

const backend = await createBackend(order.config, {
  installation: order.spec.installation,
  agent: await bundleAgent(),
  log: createLogger('create', 'silent'),
});
console.log('ready');
await once(process.stdin, 'data');
await backend.create(order.spec, order.bootstrap, new AbortController().signal);
console.log('made');
setInterval(() => undefined, 1000);
