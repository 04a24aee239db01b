import { z } from 'zod';
import { duration } from './duration.ts';
import {
  BUILT_IN_WRAPPERS,
  HOOK_POLICIES,
  HOOK_SCRIPTS,
  type HookSettings,
  type HookValue,
  type WrapperSettings,
} from '../workflows/hook-settings.ts';

const REFERENCE = /^\$\{([A-Z_][A-Z0-9_]*)\}$/;

/** A text, or `${NAME}`: the value then comes from the environment of the backend worker and is masked in logs. */
const value = z.union([z.string(), z.number(), z.boolean()]).transform((given): HookValue => {
  const name = REFERENCE.exec(String(given))?.[1];
  return name === undefined ? String(given) : { env: name };
});

/** The forge's runner sets some variables itself, and refuses or overrides those of a hook. */
const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected letters, digits and _, not beginning with a digit')
  .refine((name) => !/^(GITHUB_|RUNNER_|ACTIONS_|BATON_)/i.test(name) && !/^(CI|PATH|NODE_OPTIONS)$/i.test(name), {
    message: 'the forge’s runner or Baton sets it; use `path` for PATH',
  });

const variables = z.record(variable, value);

const isBuiltIn = (uses: string): boolean => BUILT_IN_WRAPPERS.some((name) => name === uses);

/** GitHub's runner takes `.ps1` too; these are for an action. */
const ownScript = z
  .string()
  .regex(/^([/]|[A-Za-z]:[\\/])/, 'expected the absolute path of a script in the instance')
  .refine((path) => !path.toLowerCase().endsWith('.ps1'), 'expected a shell script, not one of PowerShell');

const uses = z.string().refine((text) => isBuiltIn(text) || text.startsWith('/') || /^[A-Za-z]:[\\/]/.test(text), {
  message: `expected ${BUILT_IN_WRAPPERS.join(', ')}, or the absolute path of an action’s folder in the instance`,
});

const wrapper = z.union(
  [
    uses.transform((text) => ({
      uses: text,
      with: {},
      env: {},
      id: undefined,
      timeout: undefined,
      required: false,
    })),
    z.strictObject({
      uses: uses.describe('A built-in wrapper, or the absolute path of an action’s folder in the instance.'),
      id: z
        .string()
        .regex(/^[A-Za-z0-9][\w.-]{0,62}$/, 'expected letters, digits, `-`, `_` and `.`')
        .optional()
        .describe('Name in logs. Default: the last part of `uses`.'),
      with: z.record(z.string().min(1), value).default({}).describe('Inputs of the action.'),
      env: variables.default({}).describe('Variables for this action only.'),
      timeout: duration.optional().describe('Time limit of each phase. Default: `hooks.timeout`.'),
      required: z.boolean().default(false).describe('Whether its failure fails the job, whatever `hooks.policy` says.'),
    }),
  ],
  // Reports the problem of the alternative that was meant: a text or a map.
  {
    error: (issue) => {
      const [text, map] = issue.code === 'invalid_union' ? issue.errors : [];
      const [first] = (typeof issue.input === 'string' ? text : map) ?? [];
      return first && `${first.path.map((part) => `${String(part)}: `).join('')}${first.message}`;
    },
  },
);

/** A group's keys for hooks, to be spread into its schema. */
export const hookFields = {
  env: variables
    .default({})
    .describe('Variables for every job. A value `${NAME}` is a secret of the backend worker’s environment.'),
  path: z
    .array(z.string().regex(/^([/]|[A-Za-z]:[\\/])/, 'expected an absolute path'))
    .default([])
    .describe('Folders put in front of PATH in every job.'),
  notice: z
    .union([z.string().min(1), z.array(z.string().min(1)).max(10)])
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .default([])
    .describe('Annotation of every job, such as: this pool ends on 1 May, use linux-v2.'),
  hooks: z
    .strictObject({
      policy: z
        .enum(HOOK_POLICIES)
        .default('lenient')
        .describe('If a hook or wrapper fails: `strict` fails the job, `lenient` writes a warning.'),
      timeout: duration.prefault('1m').describe('Time limit of each phase of a wrapper.'),
      shell: z
        .enum(['sh', 'pwsh'])
        .optional()
        .describe('Kind of the hook scripts. Default: `pwsh` on Windows, else `sh`.'),
      started: ownScript
        .optional()
        .describe(
          'Your own job-started hook: a shell script in the instance. Its failure fails the job, whatever `policy` says. Default: `ACTIONS_RUNNER_HOOK_JOB_STARTED` of the instance’s image.',
        ),
      completed: ownScript
        .optional()
        .describe(
          'Your own job-completed hook, in the same way. Default: `ACTIONS_RUNNER_HOOK_JOB_COMPLETED` of the image.',
        ),
    })
    .prefault({})
    .describe('How the job hooks behave.'),
  wrappers: z
    .array(wrapper)
    .max(50)
    .superRefine((wrappers, context) => {
      const at = wrappers.findIndex((one) => one.uses === 'signal');
      if (at > 0) {
        const message = '`signal` is always first in and last out: put it first, or leave it out';
        context.addIssue({ code: 'custom', path: [at], message });
      }
      const ids = wrappers.flatMap((one) => (one.id === undefined ? [] : [one.id]));
      const twice = ids.find((id, index) => ids.indexOf(id) !== index);
      if (twice !== undefined) context.addIssue({ code: 'custom', path: [], message: `duplicate id "${twice}"` });
    })
    .default([])
    .describe('Actions around every job, in this order. Their posts run in reverse order.'),
};

const hookConfig = z.object(hookFields);

/** A group's hook settings as instances get them; undefined where it only needs the signals, which all groups have. */
export function toHookSettings(group: z.infer<typeof hookConfig>): HookSettings | undefined {
  const { env, path, notice, hooks } = group;
  const taken = new Set<string>(group.wrappers.flatMap((one) => one.id ?? []));
  const wrappers = group.wrappers
    .filter((one) => one.uses !== 'signal')
    .map((one): WrapperSettings => {
      const id = one.id ?? findFreeName(one.uses, taken);
      const timeoutMs = one.timeout ?? hooks.timeout;
      const required = one.required ? { required: true as const } : {};
      return { id, uses: one.uses, with: one.with, env: one.env, timeoutMs, ...required };
    });
  const { started, completed } = hooks;
  if (started !== undefined || completed !== undefined) {
    // The first to start, the last to end.
    wrappers.unshift({
      id: findFreeName(HOOK_SCRIPTS, taken),
      uses: HOOK_SCRIPTS,
      with: {},
      env: {},
      timeoutMs: hooks.timeout,
      required: true,
      scripts: { started, completed },
    });
  }
  const asked = Object.keys(env).length + path.length + notice.length + wrappers.length;
  if (asked === 0 && hooks.policy === 'lenient' && hooks.shell === undefined) return undefined;
  return { policy: hooks.policy, shell: hooks.shell, env, path, notices: notice, wrappers };
}

/** The last part of a path, made unique. */
function findFreeName(uses: string, taken: Set<string>): string {
  const base =
    (uses.split(/[\\/]/).findLast((part) => part !== '') ?? 'wrapper').replaceAll(/[^\w.-]/g, '-').slice(0, 50) ||
    'wrapper';
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}-${count}`;
  taken.add(name);
  return name;
}
