import type { ActionRunner } from '../manager/action-runner.ts';
import type { RunnerConnection } from '../reporters/runner-connection.ts';

/** What an ActionRunner may be made with. */
export interface ActionRunnerDependencies {
  /** The way to NATS, for those that Baton is the engine of. */
  link: RunnerConnection;
  version: string;
  /** A folder with the agent's files, made when it is asked for. */
  agentFolder: () => Promise<string>;
}

/**
 * The ActionRunners that are built in, by name. Each is loaded when it is wanted: nobody needs a Docker client to run a
 * script.
 */
export const BUILT_IN_ACTION_RUNNERS: Readonly<
  Record<string, (parts: ActionRunnerDependencies) => Promise<ActionRunner>>
> = {
  'github-actions': async ({ link, version, agentFolder }) => {
    const { GithubActionsRunner } = await import('./github-actions.ts');
    return new GithubActionsRunner({ link, agentVersion: version, scripts: await agentFolder() });
  },
  container: async () => new (await import('./container.ts')).ContainerRunner(),
  shell: async () => new (await import('./shell.ts')).ShellRunner(),
  wrapper: async () => new (await import('./wrapper.ts')).WrapperRunner(),
  temporal: async () => new (await import('./temporal.ts')).TemporalRunner(),
};
