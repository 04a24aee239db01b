import { z } from 'zod';
import { byteSize, duration } from './duration.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';
import { accessShape } from './access.ts';
import { healthCheckInterval } from './health.ts';
import { hookFields } from './hooks.ts';

export const name = (max: number) =>
  z.string().max(max).regex(NAME_PATTERN, 'expected lower-case letters, digits and dashes, not at either end');

/** What an instance of the group is made of. */
export const instanceConfig = z.strictObject({
  image: z.string().min(1).optional().describe('The image that the instance is made of.'),
  cpu: z.number().positive().optional().describe('Processors; fractions are fine.'),
  memory: byteSize.optional().describe('Such as 4GiB.'),
  disk: byteSize.optional().describe('Such as 20GiB.'),
  pids: z.number().int().positive().default(4096).describe('Processes and threads at most.'),
  user: z
    .string()
    .regex(/^[1-9]\d*(:\d+)?$/, 'expected uid or uid:gid, not root')
    .default('1001:1001')
    .describe('Who runs the agent and the job; never root. Default: the user of GitHub’s own runner image.'),
});

/** The forge's runner program inside the instance. */
export const runnerProgram = z.strictObject({
  directory: z
    .string()
    .default('/home/runner')
    .describe('Where the forge’s runner is installed in the instance: holds run.sh.'),
  command: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'In place of `./run.sh --jitconfig {jitconfig}`: any program; {jitconfig} is replaced where it stands, else appended.',
    ),
});

export const groupConfig = z
  .strictObject({
    name: name(30).describe('The group’s name, on the forge too.'),
    ...accessShape,
    labels: z
      .array(z.string().min(1))
      .min(1)
      .max(100)
      .describe('A job goes to a group that has all of its labels; self-hosted is implied, case does not count.'),
    max: z.number().int().positive().default(20).describe('Runners at most.'),
    min: z.number().int().nonnegative().default(0).describe('Idle runners at least.'),
    backend: z.string().min(1).describe('A name under `backends`.'),
    priority: z
      .number()
      .int()
      .min(1)
      .max(5)
      .default(3)
      .describe('Among groups of one backend, 1 comes first and 5 last; of equals the job that waits longest.'),
    instance: instanceConfig.prefault({}).describe('What an instance is made of.'),
    runner: runnerProgram.prefault({}).describe('The forge’s runner program inside the instance.'),
    ...hookFields,
    time_to_start: duration.optional().describe('In place of the installation’s.'),
    time_to_live: duration.optional().describe('In place of the installation’s.'),
    health_check_interval: healthCheckInterval.optional().describe('In place of the installation’s.'),
  })
  .superRefine((group, context) => {
    if (group.min > group.max) {
      context.addIssue({ code: 'custom', path: ['min'], message: 'must not be greater than max' });
    }
    if (group.repository === undefined) return;
    for (const key of ['repositories', 'workflows'] as const) {
      if (group[key] === undefined) continue;
      const message = 'is for an organisation’s group: leave it out, or leave out repository';
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });

export type GroupConfig = z.infer<typeof groupConfig>;
