import { z } from 'zod';
import { findForgeUrlProblem } from './forge-url.ts';
import { secretRef } from './secret.ts';

/** GitHub Apps have client ids such as `Iv23liABCDEF` and `Iv1.0123456789abcdef`; those of OAuth apps begin with `Ov`. */
const clientId = z
  .string()
  .regex(/^Iv[\w.]+$/, 'neither the id of a GitHub App (a number without quotation marks) nor its client id (Iv…)');

const app = z.strictObject({
  id: z
    .union([z.number().int().positive(), clientId], { error: 'expected number (the App’s id) or its client id (Iv…)' })
    .describe('The App’s id, or its client id.'),
  installation: z.number().int().positive().describe('The id of its installation in the organisation.'),
  private_key: secretRef.describe('The App’s private key, PEM. Used by orchestrator.'),
  organization: z
    .string()
    .min(1)
    .optional()
    .describe('Organisation of this installation, if groups are in several. Default: for all groups.'),
});

/** The forge, and how Baton signs in there. */
export const forgeConfig = z
  .strictObject({
    type: z.literal('github').default('github').describe('The kind of forge. GHES is `github` too.'),
    url: z
      .url({
        protocol: /^https?$/,
        error: 'not a URL: write https://github.com, or https:// and your server’s name',
        abort: true,
      })
      .superRefine((url, context) => {
        const message = findForgeUrlProblem(url);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .default('https://github.com')
      .describe('https://github.com, a GHES address, or https://SUBDOMAIN.ghe.com.'),
    app: app.optional().describe('A GitHub App, recommended for production.'),
    apps: z
      .array(app)
      .min(1)
      .optional()
      .describe('Several GitHub Apps instead of one. They share the load; each has its own rate limit.'),
    token: secretRef.optional().describe('A personal access token, for development. Used by orchestrator.'),
    points_per_minute: z
      .number()
      .int()
      .nonnegative()
      .default(900)
      .describe(
        'Points per minute of each App or token: a read costs 1, a change 5. 900 is GitHub’s limit. 0: no limits of Baton’s own, for a GHES without rate limits.',
      ),
  })
  .superRefine((forge, context) => {
    const given = [forge.app, forge.apps, forge.token].filter((way) => way !== undefined);
    if (given.length !== 1) context.addIssue({ code: 'custom', path: [], message: 'give one of app, apps and token' });
    forge.apps?.forEach(({ id, installation }, index) => {
      const first = forge.apps?.findIndex((other) => other.id === id && other.installation === installation);
      if (first === index) return;
      const message = `App ${id} with installation ${installation} is a duplicate`;
      context.addIssue({ code: 'custom', path: ['apps', index], message });
    });
  });

export type ForgeConfig = z.infer<typeof forgeConfig>;
export type AppConfig = z.infer<typeof app>;

/** The Apps for that organisation, in the order of the file; empty where a token is used. */
export function findApps(forge: ForgeConfig, organization: string): AppConfig[] {
  const apps = forge.app === undefined ? (forge.apps ?? []) : [forge.app];
  return apps.filter((app) => app.organization === undefined || sameName(app.organization, organization));
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
