import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { parseRunnerFromSubject, subjects, SIGNAL_KINDS } from '../../contracts/messages/subjects.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { Config } from '../../contracts/config/config.ts';
import { instanceDied, runnerSignal } from '../../contracts/messages/runner-signal.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { PermanentFailure, RunnerMissing } from './message-errors.ts';
import { parseMessage } from './parse-message.ts';
import type { RecordResources } from './resource-metrics.ts';
import { MAX_SIGNAL_BYTES, type SignalLimiter } from './signal-limiter.ts';
import type { StreamMessage } from './stream-message.ts';
import type { EventSource, SignalResult, WorkflowSignals } from './workflow-signals.ts';

export interface SignalTargets {
  workflowSignals: WorkflowSignals;
  recordResources: RecordResources;
  limiter: SignalLimiter;
}

/**
 * Handles what a backend's watcher reports: an instance died. Signals the runner; never starts a workflow.
 *
 * @returns the result to count: `delivered`, or `closed` where the runner's workflow has ended
 * @throws PermanentFailure MESSAGE_INVALID, SIGNAL_FORGED, RUNNER_UNKNOWN; RunnerMissing; errors of
 *   {@link WorkflowSignals}
 */
export async function handleDeath(
  message: StreamMessage,
  config: Config,
  workflowSignals: WorkflowSignals,
): Promise<string> {
  const { subject } = message;
  const runner = parseRunnerFromSubject(subject) ?? '';
  const died = parseMessage(instanceDied, message);
  checkSender(subject, runner, died.runner);
  const group = findGroup(config, runner);
  const source: EventSource = { id: message.streamPosition, bytes: message.data.length };
  const delivery = await workflowSignals.signalRunner(group, runner, { type: 'died', died }, source);
  return toResult(delivery, group, runner);
}

/**
 * Handles a signal from an instance. Signals the runner and, when a job started, the dispatcher of its group. NATS permissions ensure that the subject names the sender; the body must name the same.
 * Never starts a workflow. A repeated signal is dropped: see {@link SignalLimiter}.
 *
 * @returns the result to count: `delivered`, `dropped`, or `closed` where the runner's workflow has ended
 * @throws PermanentFailure MESSAGE_INVALID, SIGNAL_FORGED, RUNNER_UNKNOWN; RunnerMissing; errors of
 *   {@link WorkflowSignals}
 */
export async function handleSignal(
  message: StreamMessage,
  config: Config,
  { workflowSignals, recordResources, limiter }: SignalTargets,
): Promise<string> {
  const { subject } = message;
  const runner = parseRunnerFromSubject(subject) ?? '';
  const source: EventSource = { id: message.streamPosition, bytes: message.data.length };
  if (source.bytes > MAX_SIGNAL_BYTES) {
    const problem = `a message on ${subject} has ${source.bytes} bytes; a signal has at most ${MAX_SIGNAL_BYTES}`;
    throw new PermanentFailure('MESSAGE_INVALID', problem);
  }

  const kind = SIGNAL_KINDS.find((kind) => subject === subjects.signal(runner, kind));
  if (kind === undefined) throw new PermanentFailure('MESSAGE_INVALID', `unknown subject ${subject}`);
  const signal = parseMessage(runnerSignal, message);
  checkSender(subject, runner, signal.runner);
  if (signal.kind !== kind)
    throw new PermanentFailure(
      'MESSAGE_INVALID',
      `the message on ${subject} is a signal of another kind, "${signal.kind}"`,
    );
  const group = findGroup(config, runner);
  if (!limiter.admit(runner, kind, source.id)) return 'dropped';
  const [delivery] = await Promise.all([
    workflowSignals.signalRunner(group, runner, { type: 'signal', signal }, source),
    signal.kind === 'started'
      ? workflowSignals.signalRunningDispatcher(group, { type: 'busy', runner, job: signal.job }, source)
      : undefined,
  ]);
  const result = toResult(delivery, group, runner);
  limiter.confirm(runner, kind, source.id);
  // Not for a runner whose workflow does not exist: a job must not be able to fill the metrics.
  if (signal.kind === 'resources') recordResources(group, signal.resources);
  return result;
}

/** What bounds the dead letters of one runner, for `withAcknowledgement`. */
export function limitDeadLetters(limiter: SignalLimiter): (message: StreamMessage, code: ErrorCode) => boolean {
  // NATS permissions ensure that the subject names the sender.
  return ({ subject, streamPosition }, code) =>
    limiter.admitDeadLetter(parseRunnerFromSubject(subject) ?? '', streamPosition, code);
}

function toResult(delivery: SignalResult, group: string, runner: string): string {
  if (delivery === 'missing') throw new RunnerMissing(runnerWorkflowId(group, runner));
  return delivery;
}

function checkSender(subject: string, runner: string, claimed: string): void {
  if (claimed !== runner) {
    throw new PermanentFailure('SIGNAL_FORGED', `the message on ${subject} names another runner, ${claimed}`);
  }
}

function findGroup(config: Config, runner: string): string {
  const group = parseGroupFromRunnerName(config.name, runner);
  if (group === undefined)
    throw new PermanentFailure('RUNNER_UNKNOWN', `${runner} is not a runner of installation ${config.name}`);
  return group;
}
