import type { Hook, Job, Repository } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { PUSHER, toIsoSeconds, toNodeId, toOrganizationShape, toSimpleUser } from '../shapes/account.ts';
import { toHookShape } from '../shapes/hook.ts';
import { toJobShape, getJobUrls } from '../shapes/job.ts';
import { toRepositoryShape } from '../shapes/repository.ts';
import { toAppShape } from '../shapes/app.ts';

export type WebhookAction = 'queued' | 'waiting' | 'in_progress' | 'completed';

/** The common parts of all webhooks of a repository: made once, shared by thousands of deliveries. */
interface SharedParts {
  /** Address and name at the time; they can change. */
  web: string;
  name: string;
  repository: object;
  organization: object;
  sender: object;
}

const shared = new WeakMap<Repository, SharedParts>();

function sharedParts(sim: Simulation, repository: Repository): SharedParts {
  const name = `${repository.owner.login}/${repository.name}`;
  const known = shared.get(repository);
  if (known?.web === sim.urls.web && known.name === name) return known;
  const parts = {
    web: sim.urls.web,
    name,
    repository: toRepositoryShape(sim.urls, repository),
    organization: toOrganizationShape(sim.urls, repository.owner),
    sender: toSimpleUser(sim.urls, PUSHER, 'User'),
  };
  shared.set(repository, parts);
  return parts;
}

/** The App's installation that a webhook is sent for; null: none, or it is suspended. */
function findInstallation(sim: Simulation, hook: Hook, repository: Repository): number | null {
  const app = sim.apps.get(hook.appId ?? 0);
  return app && !app.suspended ? (repository.owner.installations.get(app.id) ?? null) : null;
}

function isFor(sim: Simulation, hook: Hook, repository: Repository): boolean {
  if (hook.kind === 'app') return findInstallation(sim, hook, repository) !== null;
  const name = hook.kind === 'organization' ? repository.owner.login : `${repository.owner.login}/${repository.name}`;
  return hook.target?.toLowerCase() === name.toLowerCase();
}

/** Sends `workflow_job` to every webhook of the job's repository. */
export function announceJob(sim: Simulation, job: Job, action: WebhookAction): void {
  const { repository } = job.run;
  const { web: _web, name: _name, ...parts } = sharedParts(sim, repository);
  const workflowJob = toJobShape(sim.urls, job);
  const wanted = [...sim.state.hooks.values()].filter(
    (hook) =>
      hook.active &&
      isFor(sim, hook, repository) &&
      hook.events.some((event) => event === '*' || event === 'workflow_job'),
  );
  for (const hook of wanted) {
    const installationId = findInstallation(sim, hook, repository);
    const payload = {
      action,
      workflow_job: workflowJob,
      ...(job.spec.environment === null ? {} : { deployment: createDeployment(sim, job) }),
      ...parts,
      ...(installationId === null
        ? {}
        : { installation: { id: installationId, node_id: toNodeId('MDIzOkludGVncmF0aW9u', installationId) } }),
    };
    sim.webhooks.send({
      hook,
      event: 'workflow_job',
      action,
      payload,
      installationId,
      repositoryId: repository.id,
      jobId: job.id,
    });
  }
}

/** The deployment of a job with an `environment:`. */
function createDeployment(sim: Simulation, job: Job): object {
  const url = `${sim.urls.api}/repos/${job.run.repository.owner.login}/${job.run.repository.name}`;
  return {
    url: `${url}/deployments/${job.id}`,
    id: job.id,
    node_id: toNodeId('DE', job.id),
    task: 'deploy',
    original_environment: job.spec.environment,
    environment: job.spec.environment,
    description: null,
    created_at: toIsoSeconds(job.createdAt),
    updated_at: toIsoSeconds(job.createdAt),
    statuses_url: `${url}/deployments/${job.id}/statuses`,
    repository_url: url,
    sha: job.run.sha,
    ref: job.run.branch,
    payload: {},
    creator: toSimpleUser(sim.urls, PUSHER, 'User'),
    transient_environment: false,
    production_environment: false,
    performed_via_github_app: null,
  };
}

/** Sends `ping`, as GitHub does for a new webhook or on request. */
export function sendPing(sim: Simulation, hook: Hook): void {
  const account = [...sim.state.accounts.values()].find((item) => item.login === hook.target?.split('/')[0]);
  const repository = [...sim.state.repositories.values()].find(
    (item) => `${item.owner.login}/${item.name}` === hook.target,
  );
  const app = hook.appId === null ? undefined : sim.apps.get(hook.appId);
  const described =
    hook.kind === 'app'
      ? {
          ...toHookShape(sim, hook),
          type: 'App',
          app_id: app?.id,
          ...(app ? { app: toAppShape(sim, app) } : {}),
        }
      : toHookShape(sim, hook);
  const payload = {
    zen: 'Keep it logically awesome.',
    hook_id: hook.id,
    hook: described,
    ...(repository ? { repository: toRepositoryShape(sim.urls, repository) } : {}),
    ...(account && hook.kind === 'organization' ? { organization: toOrganizationShape(sim.urls, account) } : {}),
    ...(hook.kind === 'app' ? {} : { sender: toSimpleUser(sim.urls, PUSHER, 'User') }),
  };
  sim.webhooks.send({
    hook,
    event: 'ping',
    action: null,
    payload,
    installationId: null,
    repositoryId: repository?.id ?? null,
    jobId: null,
  });
}

/** Address of the page of a job. */
export const getJobPage = (sim: Simulation, job: Job): string => getJobUrls(sim.urls, job).html_url;
