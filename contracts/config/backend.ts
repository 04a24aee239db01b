import { z } from 'zod';
import { backendCommon } from './backend-common.ts';
import { ec2Backend } from './ec2.ts';
import { gceBackend } from './gce.ts';

/**
 * A prefix of private addresses; each runner's network gets a /28 of it. Docker's default pools suffice for only about thirty
 * networks.
 */
const networkPool = z
  .string()
  .regex(/^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/, { error: 'expected an IPv4 prefix such as 10.213.0.0/16', abort: true })
  .refine((text) => Number(text.split('/')[1]) <= 24, 'must hold at least 16 networks: /24 or larger');

export const dockerBackend = z
  .strictObject({
    type: z.literal('docker').describe('Kind of the backend.'),
    ...backendCommon,
    socket: z.string().default('/var/run/docker.sock').describe('The engine’s socket, or tcp://host:port.'),
    network_pool: networkPool
      .default('10.213.0.0/16')
      .describe('Range of addresses; each runner’s network gets a /28.'),
    allow_host_access: z
      .boolean()
      .default(false)
      .describe('Makes no packet filter: jobs reach the ports of the engine’s machine, and its metadata service.'),
    allow_host_ports: z
      .array(z.number().int().min(1).max(65_535))
      .default([])
      .describe(
        'TCP ports that jobs may reach on the engine’s machine, as `host.docker.internal`, besides those of NATS and the forge.',
      ),
    filter_image: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Image with Node 24 and iptables that makes the packet filter. Default: made from the worker’s own files.',
      ),
  })
  .describe('Containers, each with a network of its own.');

export const localBackend = z
  .strictObject({
    type: z.literal('local').describe('Kind of the backend.'),
    ...backendCommon,
    root: z.string().default('.baton/local').describe('Folder of the instances.'),
    command: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('Program of an instance; a no-op makes a no-op instance. Default: the agent.'),
  })
  .describe('Process groups on this machine: for development, without isolation.');

export const backendConfig = z.discriminatedUnion('type', [dockerBackend, localBackend, ec2Backend, gceBackend]);

export type BackendConfig = z.infer<typeof backendConfig>;
