import { z } from 'zod';
import { byteSize, duration } from '../duration.ts';
import { NAME_PATTERN } from '../runner/name.ts';

export const name = (max: number) =>
  z.string().max(max).regex(NAME_PATTERN, 'expected lower-case letters, digits and dashes, not at either end');

/** What an instance of the group is made of. */
export const instanceConfig = z.strictObject({
  image: z.string().min(1).optional(),
  /** Processors; fractions are fine. */
  cpu: z.number().positive().optional(),
  memory: byteSize.optional(),
  disk: byteSize.optional(),
  /** Processes and threads at most. */
  pids: z.number().int().positive().default(4096),
  /** Who runs the agent and the job; never root. Default: GitHub's own runner image's user. */
  user: z
    .string()
    .regex(/^[1-9]\d*(:\d+)?$/, 'expected uid or uid:gid, not root')
    .default('1001:1001'),
});

/** The forge's runner program inside the instance. */
export const runnerProgram = z.strictObject({
  /** Where the forge's runner is installed in the instance: holds run.sh. */
  directory: z.string().default('/home/runner'),
  /** In place of `./run.sh --jitconfig {jitconfig}`: any program; `{jitconfig}` is replaced where it stands. */
  command: z.array(z.string()).min(1).optional(),
});

export const groupConfig = z
  .strictObject({
    name: name(30),
    organization: z.string().min(1),
    /** Set: runners belong to this repository alone, and its endpoints are used. Without the owner. */
    repository: z
      .string()
      .regex(/^[^/]+$/, 'expected the repository’s name without its owner')
      .optional(),
    labels: z.array(z.string().min(1)).min(1).max(100),
    max: z.number().int().positive().default(20),
    min: z.number().int().nonnegative().default(0),
    backend: z.string().min(1),
    instance: instanceConfig.prefault({}),
    runner: runnerProgram.prefault({}),
    time_to_start: duration.optional(),
    time_to_live: duration.optional(),
  })
  .refine((group) => group.min <= group.max, { path: ['min'], message: 'must not be greater than max' });

export type GroupConfig = z.infer<typeof groupConfig>;
