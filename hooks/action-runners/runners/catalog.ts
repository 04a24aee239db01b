import type { ActionRunner } from '../manager/action-runner.ts';
import type { RunnerConnection } from '../reporters/runner-connection.ts';

/** What the built-in ActionRunners are created from. */
export interface ActionRunnerDependencies {
  /** Used by `github-actions`. */
  connection: RunnerConnection;
  version: string;
  /** Creates a folder with the agent's files. */
  agentFolder: () => Promise<string>;
}

/**
 * The built-in ActionRunners by name. Each is loaded only when it is used: running a script does not need a Docker
 * client.
 */
export const BUILT_IN_ACTION_RUNNERS: Readonly<
  Record<string, (parts: ActionRunnerDependencies) => Promise<ActionRunner>>
> = {
  'github-actions': async ({ connection, version, agentFolder }) => {
    const { GithubActionsRunner } = await import('./github-actions.ts');
    return new GithubActionsRunner({ connection, agentVersion: version, scripts: await agentFolder() });
  },
  container: async () => new (await import('./container.ts')).ContainerRunner(),
  shell: async () => new (await import('./shell.ts')).ShellRunner(),
  wrapper: async () => new (await import('./wrapper.ts')).WrapperRunner(),
  temporal: async () => new (await import('./temporal.ts')).TemporalRunner(),
};
