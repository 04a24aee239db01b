import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { Config } from '../../contracts/config/config.ts';
import { jobEvent, type JobEvent } from '../../contracts/messages/job-event.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { demandKey } from '../../contracts/workflows/delegation.ts';
import { matchConfig, toJobNeeds } from '../shared/matching/match.ts';
import type { Delegations } from './delegations.ts';
import type { WorkflowSignals, EventSource } from './workflow-signals.ts';
import { parseMessage } from './parse-message.ts';
import { PermanentFailure } from './acknowledgement.ts';
import type { StreamMessage } from './stream-message.ts';

/**
 * Handles a forge's word on a job: tells the dispatcher of the group whose job it is and, where one of our runners has it, that
 * runner and its own group's dispatcher (a forge gives any matching job to any matching runner).
 *
 * @returns the result to count: `delivered`, `hosted` (for the forge's own machines), `not-ours`
 * @throws Hopeless MESSAGE_INVALID, NO_GROUP; errors of {@link WorkflowSignals}
 */
export async function handleWebhook(
  message: StreamMessage,
  config: Config,
  { actors, delegations }: WebhookTargets,
): Promise<string> {
  const event = parseMessage(jobEvent, message);
  const { group, hosted, proxies, reason } = matchConfig(toJobNeeds(event), config);
  const job = toJobNotice(event);
  const runner = findJobRunner(event, config.name);
  const begun = event.action === 'in_progress' || event.action === 'completed';
  const delegation = begun ? await delegations.signalOwningDelegation(job) : undefined;
  if (group === undefined && runner === undefined) {
    if (delegation !== undefined) return 'delivered';
    // Its runner is a proxy's to be: there is nothing to do until that one hands it over.
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
    // Before the runner counts as busy, or the dispatcher would start another for an order that is met.
    const met: JobNotice = { ...job, key: demandKey(delegation), action: 'completed', runnerName: null };
    await actors.signalDispatcher(runner.group, { type: 'job', job: met }, { ...source, id: `${source.id}.order` });
  }
  const signalling: Promise<unknown>[] = [...groups].map((group) =>
    actors.signalDispatcher(group, { type: 'job', job }, source),
  );
  // A runner that is unknown here is long gone, or was never ours: the dispatchers know all that matters.
  if (runner !== undefined)
    signalling.push(actors.signalRunner(runner.group, runner.name, { type: 'job', job }, source));
  await Promise.all(signalling);
  return 'delivered';
}

/** Those who are told what a webhook says. */
export interface WebhookTargets {
  actors: WorkflowSignals;
  delegations: Pick<Delegations, 'signalOwningDelegation'>;
}

/** The runner of this installation that the job is or was on. */
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
