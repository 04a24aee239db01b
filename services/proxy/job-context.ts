import { z } from 'zod';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { jobContext, type JobContext } from '../../contracts/messages/delegation.ts';
import { selectShareable } from './shareable-variables.ts';

/** What the proxy itself knows of each of its jobs, whatever a hook says. */
export interface ProxyIdentity {
  name: string;
  labels: readonly string[];
  /** Names of variables that are handed over too; `*` matches any text. */
  share: readonly string[];
}

/**
 * Reads a hook's job from its environment. Values are only put into an object, never into a text, so that any value
 * becomes correct JSON.
 *
 * @throws ZodError if this is not the environment of a hook
 */
export function readJobContext(env: NodeJS.ProcessEnv, { name, labels, share }: ProxyIdentity): JobContext {
  return jobContext.parse({
    jobId: (env['GITHUB_JOB'] ?? '').slice(0, 500),
    runId: env['GITHUB_RUN_ID'] ?? '',
    runAttempt: Number(env['GITHUB_RUN_ATTEMPT'] ?? 1),
    repository: env['GITHUB_REPOSITORY'] ?? '',
    workflow: (env['GITHUB_WORKFLOW'] ?? '').slice(0, 500),
    runnerName: name,
    labels: [...labels],
    trackingId: (env['RUNNER_TRACKING_ID'] ?? '').slice(0, 100),
    environment: selectShareable(env, share),
    matrix: parseOptionalJson(z.record(z.string().max(256), z.unknown()), env[PROXY_ENV.matrix]),
    needs: parseNeeds(env[PROXY_ENV.needs]),
  });
}

/** Hooks do not know a job's matrix and needs; a workflow may pass them as JSON. Anything else is ignored. */
function parseOptionalJson<T extends z.ZodType>(schema: T, text: string | undefined): z.output<T> | null {
  if (!text) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** `toJSON(needs)` is an object with the jobs as keys. Only the names leave the proxy: outputs may contain anything. */
function parseNeeds(text: string | undefined): string[] | null {
  const names = z.union([
    z.array(z.string()),
    z.record(z.string(), z.unknown()).transform((jobs) => Object.keys(jobs)),
  ]);
  return parseOptionalJson(names, text);
}
