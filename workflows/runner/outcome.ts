import type { RunnerInstance } from '../../contracts/workflows/runner.ts';
import { REMOVAL_REASONS, type RemovalReason, type RunnerOutcome } from '../../contracts/workflows/phase.ts';
import type { Facts } from './facts.ts';

/**
 * The outcome of a runner, from all facts known by now, including those that arrived during the removal.
 *
 * @param given why the removal began
 */
export function toOutcome(runner: string, given: RemovalReason, facts: Facts): RunnerOutcome {
  const ended = given === 'instance-died' || given === 'agent-exited';
  // When an instance dies during its job, the forge reports that job as completed (failed) some minutes later.
  const missed = given === 'instance-died' && facts.diedAtWork && facts.conclusion !== 'success';
  const completed =
    (facts.forgeCompleted && !missed) ||
    facts.hookCompleted ||
    (facts.started && (facts.exited !== undefined || given !== 'instance-died'));
  const reason = ended && completed ? 'job-completed' : given;
  const failed =
    ['create-failed', 'instance-died', 'agent-exited', 'unregistered'].includes(reason) ||
    (reason === 'time-to-start' && !facts.online) ||
    // An idle runner that no job needed ends at its time to live as intended.
    (reason === 'time-to-live' && facts.started);
  const known = reason === 'create-failed' ? facts.createProblem : facts.describeEnd(reason);
  const lost = failed && facts.started ? '; its job is lost' : '';
  const reclaimed = failed && facts.interrupted ? '; the cloud had announced that it reclaims the instance' : '';
  const detail = `${REMOVAL_REASONS[reason]}${known ? ` (${known})` : ''}${reclaimed}${lost}`;
  return { runner, reason, ranJob: facts.started, failed, detail };
}

/** A runner's instance, how its program ended, and, once its removal has begun, why it failed. */
export function toRunnerInstance(
  runner: string,
  facts: Facts,
  instanceId: string | undefined,
  reason: RemovalReason | undefined,
): RunnerInstance {
  const { exited } = facts;
  const end = reason && toOutcome(runner, reason, facts);
  return {
    instanceId: instanceId ?? null,
    exited: exited ? { code: exited.code, logTail: exited.logTail } : null,
    failure: end?.failed ? end.detail : null,
  };
}
