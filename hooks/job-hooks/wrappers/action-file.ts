import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { describeWrongFields } from '../../../contracts/lib/schema-errors.ts';

/** The phases of an action, as ADR 361 names them. */
export const ACTION_PHASES = ['pre', 'main', 'post'] as const;
export type ActionPhase = (typeof ACTION_PHASES)[number];

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const texts = z
  .record(
    z.string(),
    text.nullish().transform((value) => value ?? ''),
  )
  .nullish()
  .transform((value) => value ?? {});
const file = z.string().min(1).optional();

const inputs = z
  .record(z.string(), z.looseObject({ default: text.nullish(), required: z.boolean().nullish() }).nullable())
  .nullish()
  .transform((value) => value ?? {});

const conditions = { 'pre-if': text.optional(), 'post-if': text.optional() };

const schema = z.looseObject({
  name: text.optional(),
  inputs,
  runs: z.looseObject({
    using: z.string(),
    ...conditions,
    pre: file,
    main: file,
    post: file,
    image: file,
    'pre-entrypoint': file,
    entrypoint: file,
    'post-entrypoint': file,
    args: z.array(text).nullish(),
    env: texts,
  }),
});

/** How an action runs. */
export type Using = { kind: 'node'; version: number } | { kind: 'docker' } | { kind: 'sh' };

export interface Action {
  /** From the action file; otherwise its folder's name. */
  name: string;
  folder: string;
  using: Using;
  inputs: Map<string, { default: string; required: boolean }>;
  /** The action's phases and their files; for docker actions their entrypoints, empty for the image's own. */
  phases: Partial<Record<ActionPhase, string>>;
  conditions: { pre: string; post: string };
  /** For docker actions. */
  image: string;
  args: string[];
  env: Record<string, string>;
}

const OLD_NODES = [12, 16];
const NODES = [...OLD_NODES, 20, 24];

/** Whether an action requires a Node version past its end of life, so that a current one runs it. */
export const wantsOldNode = (using: Using): boolean => using.kind === 'node' && OLD_NODES.includes(using.version);

/**
 * Reads a folder's action.yml, or action.yaml, and checks it against ADR 361.
 *
 * @throws BatonError WRAPPER_INVALID, which names the file and the rule
 */
export async function loadAction(folder: string): Promise<Action> {
  const path = await findActionFile(folder);
  const refuse = (rule: string): never => {
    throw new BatonError('WRAPPER_INVALID', `reading ${path}: ${rule}`);
  };
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'), { logLevel: 'error' });
  } catch (error) {
    return refuse(getErrorMessage(error).split('\n')[0] ?? 'not YAML');
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) return refuse(describeWrongFields(parsed.error, 'the file'));
  const { runs, ...about } = parsed.data;
  const using = parseUsing(runs.using) ?? refuse(`runs.using "${runs.using}" is not one of ${USING_VALUES}`);
  const phases: Action['phases'] =
    using.kind === 'docker'
      ? { pre: runs['pre-entrypoint'], main: runs.entrypoint ?? '', post: runs['post-entrypoint'] }
      : { pre: runs.pre, main: runs.main, post: runs.post };
  if (using.kind === 'docker' && runs.image === undefined) refuse('a docker action needs runs.image');
  if (phases.main === undefined) refuse(describeMissingMain(phases));
  for (const phase of ACTION_PHASES) {
    const name = phases[phase];
    if (using.kind === 'docker' || name === undefined) continue;
    if (!(await isFile(join(folder, name)))) refuse(`runs.${phase} names ${name}, which does not exist`);
  }
  return {
    name: about.name ?? basename(folder),
    folder,
    using,
    inputs: new Map(
      Object.entries(about.inputs).map(([name, input]) => {
        return [name, { default: input?.default ?? '', required: input?.required === true }];
      }),
    ),
    phases,
    conditions: { pre: runs['pre-if'] ?? 'always()', post: runs['post-if'] ?? 'always()' },
    image: runs.image ?? '',
    args: runs.args ?? [],
    env: runs.env,
  };
}

const USING_VALUES = 'node12, node16, node20, node24, docker, sh';

function parseUsing(text: string): Using | undefined {
  const version = Number(/^node(\d+)$/i.exec(text)?.[1] ?? Number.NaN);
  if (NODES.includes(version)) return { kind: 'node', version };
  if (text.toLowerCase() === 'docker') return { kind: 'docker' };
  return text === 'sh' ? { kind: 'sh' } : undefined;
}

/** By ADR 361 an action must have a main; pre and post are optional. */
function describeMissingMain({ pre, post }: Action['phases']): string {
  if (pre !== undefined && post !== undefined)
    return 'it has only runs.pre and runs.post: runs.main is missing (ADR 361)';
  if (pre !== undefined) return 'it has only runs.pre: runs.main is missing (ADR 361)';
  if (post !== undefined) return 'it has only runs.post: runs.main is missing (ADR 361)';
  return 'runs.main is missing (ADR 361)';
}

async function findActionFile(folder: string): Promise<string> {
  for (const name of ['action.yml', 'action.yaml']) {
    const path = join(folder, name);
    if (await isFile(path)) return path;
  }
  throw new BatonError('WRAPPER_INVALID', `reading ${join(folder, 'action.yml')}: the file does not exist`);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
