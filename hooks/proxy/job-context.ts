import { z } from 'zod';
import { PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { jobContext, type JobContext } from '../../contracts/messages/delegation.ts';
import { selectShareable } from './shareable-variables.ts';

/**
 * A hook's job out of its environment. Values are only ever put into an object, never into a text: whatever they hold
 * comes out as correct JSON.
 *
 * @throws ZodError where the environment is not that of a hook
 */
export function readJobContext(env: NodeJS.ProcessEnv): JobContext {
  const list = (text: string | undefined): string[] =>
    (text ?? '')
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  return jobContext.parse({
    jobId: (env['GITHUB_JOB'] ?? '').slice(0, 500),
    runId: env['GITHUB_RUN_ID'] ?? '',
    runAttempt: Number(env['GITHUB_RUN_ATTEMPT'] ?? 1),
    repository: env['GITHUB_REPOSITORY'] ?? '',
    workflow: (env['GITHUB_WORKFLOW'] ?? '').slice(0, 500),
    runnerName: env['RUNNER_NAME'] ?? '',
    labels: list(env[PROXY_ENV.labels]),
    trackingId: (env['RUNNER_TRACKING_ID'] ?? '').slice(0, 100),
    environment: selectShareable(env, list(env[PROXY_ENV.leaveOut])),
    matrix: parseJson(z.record(z.string().max(256), z.unknown()), env[PROXY_ENV.matrix]),
    needs: parseNeeds(env[PROXY_ENV.needs]),
  });
}

/** The forge's runner does not tell hooks a job's matrix and needs; a workflow may. What is no such JSON is none. */
function parseJson<T extends z.ZodType>(schema: T, text: string | undefined): z.output<T> | null {
  if (!text) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** `toJSON(needs)` is an object by job; only their names are told: outputs may hold anything. */
function parseNeeds(text: string | undefined): string[] | null {
  const names = z.union([
    z.array(z.string()),
    z.record(z.string(), z.unknown()).transform((jobs) => Object.keys(jobs)),
  ]);
  return parseJson(names, text);
}
