import { z } from 'zod';
import { secretRef } from './secret.ts';
import { natsTls, temporalTls } from './tls.ts';

/** The connection to Temporal. */
export const temporalConfig = z.strictObject({
  address: z.string().default('127.0.0.1:7233').describe('`host:port` of Temporal’s frontend.'),
  namespace: z.string().default('default').describe('Namespace; each installation needs one of its own.'),
  ui_url: z.url().optional().describe('Address of Temporal’s UI for people; links point to it.'),
  tls: temporalTls,
  api_key: secretRef.optional().describe('API key. Used by relay, orchestrator and backend.'),
});

/** The connection to NATS. */
export const natsConfig = z.strictObject({
  url: z.string().default('nats://127.0.0.1:4222').describe('Address of NATS; separate several by commas.'),
  tls: natsTls,
  credentials: z
    .string()
    .optional()
    .describe('Path of this service’s credentials file. `BATON_NATS_CREDENTIALS` comes first.'),
  account: z
    .string()
    .optional()
    .describe('Account (`A…`) of the runners, as `baton setup accounts` prints it. Used by backend.'),
  runner_signing_key: secretRef
    .optional()
    .describe('Scoped signing key of `account`; it signs runners’ credentials. Used by backend.'),
});

export type NatsConfig = z.infer<typeof natsConfig>;
export type TemporalConfig = z.infer<typeof temporalConfig>;
