import { z } from 'zod';

/**
 * A prefix of private addresses from which each runner's own network gets a /28. Docker's default pools end after about
 * thirty networks.
 */
const networkPool = z
  .string()
  .regex(/^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/, { error: 'expected an IPv4 prefix such as 10.213.0.0/16', abort: true })
  .refine((text) => Number(text.split('/')[1]) <= 24, 'must hold at least 16 networks: /24 or larger');

export const dockerBackend = z.strictObject({
  type: z.literal('docker'),
  /** The engine's socket, or `tcp://host:port`. */
  socket: z.string().default('/var/run/docker.sock'),
  network_pool: networkPool.default('10.213.0.0/16'),
  /** How instances reach NATS, where that differs from how services do. */
  nats_url: z.string().optional(),
});

export const localBackend = z.strictObject({
  type: z.literal('local'),
  /** Where instances keep their work folders and pid files. */
  root: z.string().default('.baton/local'),
  /** What an instance runs; default: the agent, on this process's Node. A no-op command makes a no-op instance. */
  command: z.array(z.string()).min(1).optional(),
  nats_url: z.string().optional(),
});

export const backendConfig = z.discriminatedUnion('type', [dockerBackend, localBackend]);

export type BackendConfig = z.infer<typeof backendConfig>;
