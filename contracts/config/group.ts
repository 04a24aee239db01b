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
  image: z.string().min(1).optional().describe('Image of the instance.'),
  cpu: z.number().positive().optional().describe('Processors; may be a fraction.'),
  memory: byteSize.optional().describe('Memory, such as `4GiB`.'),
  disk: byteSize.optional().describe('Disk, such as `20GiB`.'),
  pids: z.number().int().positive().default(4096).describe('Most processes and threads.'),
  user: z
    .string()
    .regex(/^[1-9]\d*(:\d+)?$/, 'expected uid or uid:gid, not root')
    .default('1001:1001')
    .describe(
      'User (`uid` or `uid:gid`) of agent and job, never root. The default is the user of GitHub’s runner image.',
    ),
});

/** The forge's runner program inside the instance. */
export const runnerProgram = z.strictObject({
  directory: z
    .string()
    .default('/home/runner')
    .describe('Folder of the forge’s runner in the instance, with `run.sh`.'),
  command: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'Program instead of `./run.sh`. `{jitconfig}` is replaced; where it is missing, the program gets the JIT config in `ACTIONS_RUNNER_INPUT_JITCONFIG`, which other users cannot read.',
    ),
});

const ORGANIZATION_ONLY = 'is for an organisation’s group: leave it out, or leave out repository';

export const groupConfig = z
  .strictObject({
    name: name(30).describe('Name of the group, also on the forge.'),
    ...accessShape,
    labels: z
      .array(z.string().min(1))
      .min(1)
      .max(100)
      .describe('Labels of the runners. A group takes jobs whose labels it has all; `self-hosted` is implied.'),
    max: z.number().int().positive().default(20).describe('Most runners at a time.'),
    min: z.number().int().nonnegative().default(0).describe('Fewest idle runners.'),
    backend: z.string().min(1).describe('Name of a backend under `backends`.'),
    priority: z
      .number()
      .int()
      .min(1)
      .max(5)
      .default(3)
      .describe('Order among groups of one backend with a `max`: 1 is first, 5 last.'),
    instance: instanceConfig.prefault({}).describe('What an instance is made of.'),
    runner: runnerProgram.prefault({}).describe('The forge’s runner program inside the instance.'),
    ...hookFields,
    time_to_start: duration.optional().describe('Replaces the installation’s value.'),
    time_to_live: duration.optional().describe('Replaces the installation’s value.'),
    health_check_interval: healthCheckInterval.optional().describe('Replaces the installation’s value.'),
  })
  .superRefine((group, context) => {
    if (group.min > group.max) {
      context.addIssue({ code: 'custom', path: ['min'], message: 'must not be greater than max' });
    }
    if (group.repository === undefined) return;
    for (const key of ['repositories', 'workflows'] as const) {
      if (group[key] === undefined) continue;
      context.addIssue({ code: 'custom', path: [key], message: ORGANIZATION_ONLY });
    }
    if (group.adopt) context.addIssue({ code: 'custom', path: ['adopt'], message: ORGANIZATION_ONLY });
  });

export type GroupConfig = z.infer<typeof groupConfig>;
