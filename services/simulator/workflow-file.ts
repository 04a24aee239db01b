import { parse } from 'yaml';
import { z } from 'zod';
import { replaceExpressions, toText } from './expression.ts';
import { expandMatrix, type MatrixRow } from './matrix.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const environment = z.record(z.string(), scalar).default({});
const oneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const defaults = z
  .object({ run: z.object({ shell: z.string().optional(), 'working-directory': z.string().optional() }).optional() })
  .optional();

const step = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  if: scalar.optional(),
  run: z.string().optional(),
  uses: z.string().optional(),
  shell: z.string().optional(),
  env: environment,
  'working-directory': z.string().optional(),
  'continue-on-error': z.boolean().default(false),
  'timeout-minutes': z.number().optional(),
});

const job = z.object({
  name: z.string().optional(),
  'runs-on': z.union([oneOrMore, z.object({ group: z.string().optional(), labels: oneOrMore.default([]) })]),
  needs: oneOrMore.default([]),
  if: scalar.optional(),
  environment: z.union([z.string(), z.object({ name: z.string() }).transform((value) => value.name)]).optional(),
  strategy: z
    .object({ matrix: z.record(z.string(), z.unknown()).optional(), 'fail-fast': z.boolean().default(true) })
    .optional(),
  env: environment,
  defaults,
  steps: z.array(step).min(1),
  'timeout-minutes': z.number().optional(),
});

const workflowFile = z.object({
  name: z.string().optional(),
  env: environment,
  defaults,
  jobs: z.record(z.string().regex(/^[A-Za-z_][\w-]*$/), job),
});

interface StepSpec {
  id: string | null;
  name: string | null;
  if: string | null;
  run: string | null;
  uses: string | null;
  shell: string | null;
  env: Record<string, string>;
  workingDirectory: string | null;
  continueOnError: boolean;
  timeoutMinutes: number | null;
}

/** A job of a workflow file; one for each combination of its matrix. */
export interface JobSpec {
  /** `jobs.<key>`, the value of GITHUB_JOB. */
  key: string;
  name: string;
  labels: string[];
  /** Only runners of the runner group with that name may have it; null: those of any group. */
  group: string | null;
  needs: string[];
  if: string | null;
  environment: string | null;
  matrix: MatrixRow;
  failFast: boolean;
  env: Record<string, string>;
  steps: StepSpec[];
  timeoutMinutes: number | null;
  /** The result of the job's initialisation: where it fails or is cancelled, no hook runs. */
  initialisation: 'ok' | 'fail' | 'cancel';
}

/** @throws Error or ZodError with the problem of the file */
export function parseWorkflow(text: string, path: string): { name: string; jobs: JobSpec[] } {
  const file = workflowFile.parse(parse(text));
  const jobs = Object.entries(file.jobs).flatMap(([key, job]) => {
    for (const need of job.needs) {
      if (!(need in file.jobs)) throw new Error(`${path}: job ${key} needs ${need}, which is not in the file`);
    }
    return expandMatrix(job.strategy?.matrix).map((matrix): JobSpec => {
      const scope = { contexts: { matrix }, functions: {} };
      const values = Object.values(matrix).map(toText);
      const suffix = values.length > 0 && !job.name?.includes('matrix.') ? ` (${values.join(', ')})` : '';
      const runsOn = Array.isArray(job['runs-on']) ? { labels: job['runs-on'], group: undefined } : job['runs-on'];
      const run = { ...file.defaults?.run, ...job.defaults?.run };
      return {
        key,
        name: replaceExpressions(job.name ?? key, scope) + suffix,
        labels: runsOn.labels.map((label) => replaceExpressions(label, scope)),
        group: runsOn.group === undefined ? null : replaceExpressions(runsOn.group, scope),
        needs: job.needs,
        if: job.if ?? null,
        environment: job.environment === undefined ? null : replaceExpressions(job.environment, scope),
        matrix,
        failFast: job.strategy?.['fail-fast'] ?? true,
        env: { ...file.env, ...job.env },
        steps: job.steps.map((item) => toStepSpec(item, run)),
        timeoutMinutes: job['timeout-minutes'] ?? null,
        initialisation: 'ok',
      };
    });
  });
  assertNoCycle(jobs, path);
  return { name: file.name ?? path, jobs };
}

function toStepSpec(
  item: z.infer<typeof step>,
  run: { shell?: string | undefined; 'working-directory'?: string | undefined },
): StepSpec {
  if ((item.run === undefined) === (item.uses === undefined)) throw new Error('a step has either run or uses');
  return {
    id: item.id ?? null,
    name: item.name ?? null,
    if: item.if ?? null,
    run: item.run ?? null,
    uses: item.uses ?? null,
    shell: item.shell ?? run.shell ?? null,
    env: item.env,
    workingDirectory: item['working-directory'] ?? run['working-directory'] ?? null,
    continueOnError: item['continue-on-error'],
    timeoutMinutes: item['timeout-minutes'] ?? null,
  };
}

function assertNoCycle(jobs: JobSpec[], path: string): void {
  const done = new Set<string>();
  for (let grew = true; grew;) {
    const ready = jobs.filter((job) => !done.has(job.key) && job.needs.every((need) => done.has(need)));
    for (const job of ready) done.add(job.key);
    grew = ready.length > 0;
  }
  const stuck = jobs.find((job) => !done.has(job.key));
  if (stuck) throw new Error(`${path}: job ${stuck.key} needs itself`);
}
