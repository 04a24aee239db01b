import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { parseRunnerFromSubject, subjects, SIGNAL_KINDS } from '../../contracts/messages/subjects.ts';
import type { Config } from '../../contracts/config/config.ts';
import type { JobResources } from '../../contracts/messages/job-resources.ts';
import { instanceDied, runnerSignal } from '../../contracts/messages/runner-signal.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import type { WorkflowSignals, EventSource, SignalResult } from './workflow-signals.ts';
import { PermanentFailure, RunnerMissing } from './acknowledgement.ts';
import type { StreamMessage } from './stream-message.ts';
import { parseMessage } from './parse-message.ts';

/**
 * Handles what an instance or a backend's watcher says: tells the runner and, when a job started, its group's dispatcher. The
 * subject, which NATS guards, says who speaks; the body must agree. Never starts a workflow.
 *
 * @returns the result to count: `delivered`, or `closed` where the runner is over already
 * @throws Hopeless MESSAGE_INVALID, SIGNAL_FORGED, RUNNER_UNKNOWN; RunnerMissing; errors of {@link WorkflowSignals}
 */
export async function handleSignal(
  message: StreamMessage,
  config: Config,
  { actors, onResources }: { actors: WorkflowSignals; onResources?: (group: string, used: JobResources) => void },
): Promise<string> {
  const { subject } = message;
  const runner = parseRunnerFromSubject(subject) ?? '';
  const source: EventSource = { id: message.streamPosition, bytes: message.data.length };

  if (subject === subjects.instanceDied(runner)) {
    const died = parseMessage(instanceDied, message);
    checkSender(subject, runner, died.runner);
    const group = findGroup(config, runner);
    return toResult(await actors.signalRunner(group, runner, { type: 'died', died }, source), group, runner);
  }

  const kind = SIGNAL_KINDS.find((kind) => subject === subjects.signal(runner, kind));
  if (kind === undefined) throw new PermanentFailure('MESSAGE_INVALID', `there is no subject ${subject}`);
  const signal = parseMessage(runnerSignal, message);
  checkSender(subject, runner, signal.runner);
  if (signal.kind !== kind)
    throw new PermanentFailure('MESSAGE_INVALID', `a signal "${signal.kind}" came on ${subject}`);
  const group = findGroup(config, runner);
  const [told] = await Promise.all([
    actors.signalRunner(group, runner, { type: 'signal', signal }, source),
    signal.kind === 'started'
      ? actors.signalRunningDispatcher(group, { type: 'busy', runner, job: signal.job }, source)
      : undefined,
  ]);
  const result = toResult(told, group, runner);
  // Only what its workflow was told is counted: a job can't fill the metrics of a runner that is over.
  if (signal.kind === 'resources') onResources?.(group, signal.resources);
  return result;
}

function toResult(told: SignalResult, group: string, runner: string): string {
  if (told === 'missing') throw new RunnerMissing(runnerWorkflowId(group, runner));
  return told;
}

function checkSender(subject: string, runner: string, claimed: string): void {
  if (claimed !== runner) {
    throw new PermanentFailure('SIGNAL_FORGED', `the message on ${subject} speaks for another runner, ${claimed}`);
  }
}

function findGroup(config: Config, runner: string): string {
  const group = parseGroupFromRunnerName(config.name, runner);
  if (group === undefined) throw new PermanentFailure('RUNNER_UNKNOWN', `${runner} is no runner of ${config.name}`);
  return group;
}
