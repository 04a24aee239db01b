import { z } from 'zod';
import { adminConfig } from './admin.ts';
import { duration } from './duration.ts';
import { backendConfig } from './backend.ts';
import { delegationConfig, findDelegationProblems } from './delegation.ts';
import { findApps, forgeConfig } from './forge.ts';
import { groupConfig, name } from './group.ts';
import { healthCheckInterval, webhookUrl } from './health.ts';
import { ingressConfig } from './ingress.ts';
import { secretRef } from './secret.ts';
import { natsConfig, temporalConfig } from './servers.ts';

/** One file configures one installation. Durations are parsed to milliseconds, sizes to bytes. */
export const config = z
  .strictObject({
    name: name(20)
      .default('runner-manager')
      .describe('The installation’s name. It tags every resource, and every runner’s name begins with it.'),
    version: z
      .number()
      .int()
      .positive()
      .optional()
      .describe(
        'Counts up with each change of this file, where you want to say which of two files is newer. Default: one that Baton has not seen before is newer.',
      ),
    rollback_after: duration
      .prefault('2m')
      .describe(
        'A process whose file is older uses the newest one. After this time in which no process had the newest file, an orchestrator’s older one is taken for a roll-back and becomes the newest; `baton apply` does that at once.',
      ),
    forge: forgeConfig.describe('The forge, and how Baton signs in there.'),
    webhook: z
      .strictObject({
        secrets: z
          .array(secretRef)
          .min(1)
          .describe(
            'Webhook secrets, all valid at once. To rotate, add the new one, change the forge, remove the old one.',
          ),
        url: webhookUrl.optional(),
      })
      .describe('How Baton checks that a webhook comes from the forge.'),
    ingress: ingressConfig.prefault({}).describe('What stands between the ingress and the internet.'),
    admin: adminConfig.prefault({}).describe('Who may see the status page and the metrics at the admin port.'),
    temporal: temporalConfig.prefault({}).describe('The connection to Temporal.'),
    nats: natsConfig.prefault({}).describe('The connection to NATS.'),
    backends: z
      .record(name(30), backendConfig)
      .refine((backends) => Object.keys(backends).length > 0, 'give at least one')
      .describe('What makes instances, by name; `baton backend NAME` is its worker.'),
    health_check_interval: healthCheckInterval
      .prefault('10m')
      .describe('How often each group’s runners, instances and registrations are compared.'),
    delegation: delegationConfig.optional().describe('Proxy runners that hand their jobs to ephemeral ones.'),
    time_to_start: duration
      .prefault('10m')
      .describe(
        'Longest time from a runner’s creation until a job starts. Idle runners that `min` asks for are exempt.',
      ),
    time_to_live: duration
      .prefault('12h')
      .describe(
        'Longest life of a runner. It ends even a running job. An idle runner is replaced when half of it is over.',
      ),
    groups: z.array(groupConfig).min(1).describe('Groups of runners: who may use them, how many, and where.'),
  })
  .superRefine((value, context) => {
    const seen = new Set<string>();
    const hasApps = value.forge.app !== undefined || (value.forge.apps ?? []).length > 0;
    value.groups.forEach((group, index) => {
      if (seen.has(group.name)) {
        context.addIssue({
          code: 'custom',
          path: ['groups', index, 'name'],
          message: `duplicate group name "${group.name}"`,
        });
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
      if (hasApps && findApps(value.forge, group.organization).length === 0) {
        context.addIssue({
          code: 'custom',
          path: ['groups', index, 'organization'],
          message: `no App of the forge is for "${group.organization}"`,
        });
      }
    });
    if (value.delegation !== undefined) {
      for (const { path, message } of findDelegationProblems(value.delegation, value.groups)) {
        context.addIssue({ code: 'custom', path, message });
      }
    }
    for (const [backend, { max }] of Object.entries(value.backends)) {
      const idle = value.groups.reduce((sum, group) => sum + (group.backend === backend ? group.min : 0), 0);
      if (max === undefined || idle <= max) continue;
      context.addIssue({
        code: 'custom',
        path: ['backends', backend, 'max'],
        message: `its groups require ${idle} idle runners (min), which is more than ${max}`,
      });
    }
  });

export type Config = z.infer<typeof config>;
