import { z } from 'zod';
import { secretRef } from './secret.ts';
import { natsTls, temporalTls } from './tls.ts';

/** The connection to Temporal. */
export const temporalConfig = z.strictObject({
  address: z.string().default('127.0.0.1:7233').describe('host:port of the frontend.'),
  namespace: z.string().default('default').describe('One namespace an installation.'),
  ui_url: z.url().optional().describe('Where people open Temporal’s UI; links point there.'),
  tls: temporalTls,
  api_key: secretRef.optional().describe('Used by relay, orchestrator and backend.'),
});

/** The connection to NATS. */
export const natsConfig = z.strictObject({
  url: z.string().default('nats://127.0.0.1:4222').describe('Several are separated by commas.'),
  tls: natsTls,
  credentials: z
    .string()
    .optional()
    .describe('Path of this service’s credentials file; BATON_NATS_CREDENTIALS comes first.'),
  account: z.string().optional().describe('The account (A…) that runners’ credentials belong to. Used by backend.'),
  runner_signing_key: secretRef
    .optional()
    .describe('The scoped signing key of `account`, which makes runners’ credentials. Used by backend.'),
});

export type NatsConfig = z.infer<typeof natsConfig>;
export type TemporalConfig = z.infer<typeof temporalConfig>;
