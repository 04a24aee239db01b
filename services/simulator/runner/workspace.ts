import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { JobMessage } from '../protocol.ts';

export interface Workspace {
  /** Belongs to this runner alone, and is removed at the end. */
  root: string;
  runnerWorkspace: string;
  githubWorkspace: string;
  temp: string;
  toolCache: string;
  eventPath: string;
}

/** Creates the folders of a job, as `<work>/<repository>/<repository>`, and the file with the event's payload. */
export function makeWorkspace(root: string, message: JobMessage): Workspace {
  const repository = message.github.repository.split('/')[1] ?? 'repository';
  const runnerWorkspace = join(root, repository);
  const workspace = {
    root,
    runnerWorkspace,
    githubWorkspace: join(runnerWorkspace, repository),
    temp: join(root, '_temp'),
    toolCache: join(root, '_tool'),
    eventPath: join(root, '_temp', '_github_workflow', 'event.json'),
  };
  for (const folder of [workspace.githubWorkspace, join(workspace.temp, '_github_workflow'), workspace.toolCache]) {
    mkdirSync(folder, { recursive: true });
  }
  writeFileSync(workspace.eventPath, JSON.stringify(message.event, null, 2));
  return workspace;
}

/** Removes the folders of a runner, and the work folder where no other runner uses it. */
export function removeWorkspace(root: string): void {
  rmSync(root, { recursive: true, force: true });
  try {
    rmdirSync(dirname(root));
  } catch {
    // The folder is not empty, or was never created.
  }
}

/**
 * The default variables of every step and hook; those that belong to one step (GITHUB_ACTION) are not among them.
 * Source: https://docs.github.com/en/actions/writing-workflows/choosing-what-your-workflow-does/store-information-in-variables#default-environment-variables
 */
export function createDefaultVariables(
  message: JobMessage,
  workspace: Workspace,
  runner: { name: string; trackingId: string; debug: boolean },
): Record<string, string> {
  const { github } = message;
  return {
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTOR: github.actor,
    GITHUB_ACTOR_ID: String(github.actor_id),
    GITHUB_API_URL: github.api_url,
    GITHUB_BASE_REF: '',
    GITHUB_EVENT_NAME: github.event_name,
    GITHUB_EVENT_PATH: workspace.eventPath,
    GITHUB_GRAPHQL_URL: `${github.server_url}/api/graphql`,
    GITHUB_HEAD_REF: '',
    GITHUB_JOB: message.key,
    GITHUB_REF: github.ref,
    GITHUB_REF_NAME: github.ref_name,
    GITHUB_REF_PROTECTED: 'false',
    GITHUB_REF_TYPE: 'branch',
    GITHUB_REPOSITORY: github.repository,
    GITHUB_REPOSITORY_ID: String(github.repository_id),
    GITHUB_REPOSITORY_OWNER: github.repository_owner,
    GITHUB_REPOSITORY_OWNER_ID: String(github.repository_owner_id),
    GITHUB_RETENTION_DAYS: '90',
    GITHUB_RUN_ATTEMPT: String(github.run_attempt),
    GITHUB_RUN_ID: String(github.run_id),
    GITHUB_RUN_NUMBER: String(github.run_number),
    GITHUB_SERVER_URL: github.server_url,
    GITHUB_SHA: github.sha,
    GITHUB_TRIGGERING_ACTOR: github.actor,
    GITHUB_WORKFLOW: github.workflow,
    GITHUB_WORKFLOW_REF: `${github.repository}/${github.workflow_path}@${github.ref}`,
    GITHUB_WORKFLOW_SHA: github.sha,
    GITHUB_WORKSPACE: workspace.githubWorkspace,
    RUNNER_ARCH: ({ x64: 'X64', arm64: 'ARM64', arm: 'ARM' } as Record<string, string>)[process.arch] ?? 'X86',
    RUNNER_ENVIRONMENT: 'self-hosted',
    RUNNER_NAME: runner.name,
    RUNNER_OS: ({ darwin: 'macOS', win32: 'Windows' } as Record<string, string>)[process.platform] ?? 'Linux',
    RUNNER_TEMP: workspace.temp,
    RUNNER_TOOL_CACHE: workspace.toolCache,
    RUNNER_TRACKING_ID: runner.trackingId,
    RUNNER_WORKSPACE: workspace.runnerWorkspace,
    ...(runner.debug ? { RUNNER_DEBUG: '1' } : {}),
  };
}
