import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { Config } from '../../contracts/config/config.ts';
import { jobEvent, type JobEvent } from '../../contracts/messages/job-event.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { demandKey } from '../../contracts/workflows/delegation.ts';
import { matchConfig, toJobNeeds } from '../shared/matching/match.ts';
import type { Delegations } from './delegations.ts';
import { PermanentFailure } from './message-errors.ts';
import { parseMessage } from './parse-message.ts';
import type { StreamMessage } from './stream-message.ts';
import type { EventSource, WorkflowSignals } from './workflow-signals.ts';

/** Whatever a webhook's event is signalled through. */
export interface WebhookTargets {
  workflowSignals: WorkflowSignals;
  delegations: Pick<Delegations, 'signalOwningDelegation'>;
}

/**
 * Handles a webhook about a job. Signals the dispatcher of the group that the job belongs to and, where one of our
 * runners has the job, that runner and the dispatcher of its group: a forge may assign a job to any runner with
 * matching labels.
 *
 * @returns the result to count: `delivered`, `proxies` (waits for a proxy), `hosted` (for the forge's own machines),
 *   `not-ours`
 * @throws PermanentFailure MESSAGE_INVALID, NO_GROUP; errors of {@link WorkflowSignals}
 */
export async function handleWebhook(
  message: StreamMessage,
  config: Config,
  { workflowSignals, delegations }: WebhookTargets,
): Promise<string> {
  const event = parseMessage(jobEvent, message);
  const { group, hosted, proxies, reason } = matchConfig(toJobNeeds(event), config);
  const job = toJobNotice(event);
  const runner = findJobRunner(event, config.name);
  const hasStarted = event.action === 'in_progress' || event.action === 'completed';
  const delegation = hasStarted ? await delegations.signalOwningDelegation(job) : undefined;
  if (group === undefined && runner === undefined) {
    if (delegation !== undefined) return 'delivered';
    // A proxy will take the job: there is nothing to do until that proxy delegates it.
    if (proxies) return 'proxies';
    if (hosted) return 'hosted';
    if (event.action === 'queued') throw new PermanentFailure('NO_GROUP', `job ${event.job.id}: ${reason}`);
    return 'not-ours';
  }
  const source: EventSource = { id: message.streamPosition, bytes: message.data.length };
  const groups = new Set<string>();
  if (group !== undefined) groups.add(group.name);
  if (runner !== undefined) groups.add(runner.group);
  if (delegation !== undefined && runner !== undefined) {
    // Before the runner counts as busy: otherwise the dispatcher would start another runner for demand that is already
    // met.
    const demandMet: JobNotice = { ...job, key: demandKey(delegation), action: 'completed', runnerName: null };
    await workflowSignals.signalDispatcher(
      runner.group,
      { type: 'job', job: demandMet },
      { ...source, id: `${source.id}.order` },
    );
  }
  const signals: Promise<unknown>[] = [...groups].map((group) =>
    workflowSignals.signalDispatcher(group, { type: 'job', job }, source),
  );
  // If the runner's workflow does not exist, the runner is long gone or was never ours; the dispatchers are signalled
  // anyway.
  if (runner !== undefined)
    signals.push(workflowSignals.signalRunner(runner.group, runner.name, { type: 'job', job }, source));
  await Promise.all(signals);
  return 'delivered';
}

/** The runner of this installation that the job runs or ran on. */
function findJobRunner(event: JobEvent, installation: string): { name: string; group: string } | undefined {
  if (event.action !== 'in_progress' && event.action !== 'completed') return undefined;
  const name = event.job.runnerName;
  const group = name === null ? undefined : parseGroupFromRunnerName(installation, name);
  return name === null || group === undefined ? undefined : { name, group };
}

function toJobNotice(event: JobEvent): JobNotice {
  const { job } = event;
  return {
    key: `${job.id}:${job.runAttempt}`,
    delivery: event.delivery,
    action: event.action,
    jobId: job.id,
    runId: job.runId,
    runAttempt: job.runAttempt,
    ...toJobNeeds(event),
    name: job.name,
    url: job.url,
    conclusion: job.conclusion,
    runnerName: job.runnerName,
    at: event.receivedAt,
  };
}
