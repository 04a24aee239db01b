/** A group's hook settings. They are part of instance specs, and so of histories: secrets appear only by name. */

/** What a failure of a hook or wrapper means. `strict`: the job fails; `lenient`: a warning. */
export const HOOK_POLICIES = ['lenient', 'strict'] as const;
export type HookPolicy = (typeof HOOK_POLICIES)[number];

/** Wrappers that come with Baton. `signal` is in every group: first in, last out. */
export const BUILT_IN_WRAPPERS = ['signal', 'resource-usage', 'clean-workspace', 'docker-prune'] as const;

/** A text, or the name of the backend worker's environment variable that holds it. */
export type HookValue = string | { env: string };

/** An action that runs around every job of the group. `V` is `string` once secrets are filled in. */
export interface WrapperSettings<V = HookValue> {
  /** Unique in the group; names it in logs, and its state between the phases. */
  id: string;
  /** One of {@link BUILT_IN_WRAPPERS}, or the absolute path of a folder with an action.yml in the instance. */
  uses: string;
  with: Record<string, V>;
  env: Record<string, V>;
  /** For each of its phases, milliseconds. */
  timeoutMs: number;
  /** Whether its failure fails the job, whatever the group's policy. Default: no. */
  required?: true | undefined;
  /** The administrator's own hook scripts instead of an action: absolute paths in the instance. */
  scripts?: { started?: string | undefined; completed?: string | undefined } | undefined;
}

/** The `uses` of an administrator's own hook scripts, which are no action. */
export const HOOK_SCRIPTS = 'hook-scripts';

export interface HookSettings<V = HookValue> {
  policy: HookPolicy;
  /** Which kind of hook scripts the forge's runner gets; default: by the platform. */
  shell?: 'sh' | 'pwsh' | undefined;
  /** Reach the job by GITHUB_ENV, GITHUB_PATH and `::notice::`. */
  env: Record<string, V>;
  path: string[];
  notices: string[];
  wrappers: WrapperSettings<V>[];
}

/** {@link HookSettings} with its secrets filled in, as the instance gets them. */
export interface ResolvedHooks extends HookSettings<string> {
  /** The values that came from secrets: masked in the job's log. */
  secrets: string[];
}
