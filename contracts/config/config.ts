import { z } from 'zod';
import { duration } from '../duration.ts';
import { backendConfig } from './backend-config.ts';
import { groupConfig, name } from './group-config.ts';
import { secretRef } from './secret.ts';

const forgeConfig = z
  .strictObject({
    type: z.literal('github').default('github'),
    /** https://github.com, a GHES address, or https://SUBDOMAIN.ghe.com. */
    url: z.url({ protocol: /^https?$/ }).default('https://github.com'),
    /** A GitHub App (recommended in production). */
    app: z
      .strictObject({
        id: z.number().int().positive(),
        installation: z.number().int().positive(),
        private_key: secretRef,
      })
      .optional(),
    /** A personal access token (recommended for development). */
    token: secretRef.optional(),
  })
  .refine((forge) => (forge.app === undefined) !== (forge.token === undefined), {
    message: 'give either app or token',
  });

const temporalConfig = z.strictObject({
  address: z.string().default('127.0.0.1:7233'),
  namespace: z.string().default('default'),
  /** Where people open Temporal's UI; links point there. */
  ui_url: z.url().optional(),
  tls: z.boolean().default(false),
  api_key: secretRef.optional(),
});

const natsConfig = z.strictObject({
  url: z.string().default('nats://127.0.0.1:4222'),
  /** Path of this service's credentials file; BATON_NATS_CREDENTIALS comes first. */
  credentials: z.string().optional(),
  /** The account that runners' credentials belong to (A…), and its scoped signing key: for backend workers only. */
  account: z.string().optional(),
  runner_signing_key: secretRef.optional(),
});

/** One file configures one manager. Durations arrive in milliseconds, sizes in bytes. */
export const config = z
  .strictObject({
    name: name(20).default('runner-manager'),
    forge: forgeConfig,
    webhook: z.strictObject({
      /** All are valid at once: rotate by adding the new one, changing the forge, and removing the old one. */
      secrets: z.array(secretRef).min(1),
    }),
    temporal: temporalConfig.prefault({}),
    nats: natsConfig.prefault({}),
    backends: z
      .record(name(30), backendConfig)
      .refine((backends) => Object.keys(backends).length > 0, 'give at least one'),
    time_to_start: duration.prefault('10m'),
    time_to_live: duration.prefault('12h'),
    groups: z.array(groupConfig).min(1),
  })
  .superRefine((value, context) => {
    const seen = new Set<string>();
    value.groups.forEach((group, index) => {
      if (seen.has(group.name)) {
        context.addIssue({ code: 'custom', path: ['groups', index, 'name'], message: `"${group.name}" stands twice` });
      }
      seen.add(group.name);
      if (!(group.backend in value.backends)) {
        const known = Object.keys(value.backends).join(', ');
        context.addIssue({
          code: 'custom',
          path: ['groups', index, 'backend'],
          message: `there is no backend "${group.backend}"; there is ${known}`,
        });
      }
      if (`${value.name}-${group.name}`.length > 54) {
        context.addIssue({
          code: 'custom',
          path: ['groups', index, 'name'],
          message: 'the manager’s and the group’s name together are longer than 53 characters',
        });
      }
    });
  });

export type Config = z.infer<typeof config>;
export type ForgeConfig = Config['forge'];
export type NatsConfig = Config['nats'];
export type TemporalConfig = Config['temporal'];
