import type { RunnerInstance } from '../../contracts/workflows/runner.ts';
import { REMOVAL_REASONS, type RemovalReason, type RunnerOutcome } from '../../contracts/workflows/phase.ts';
import type { Facts } from './facts.ts';

/**
 * A runner's end as all facts have it by now: news that came during the removal counts.
 *
 * @param given why the removal began
 * @param problem why the instance could not be created, where it could not
 */
export function outcomeOf(
  runner: string,
  given: RemovalReason,
  facts: Facts,
  problem: string | undefined,
): RunnerOutcome {
  const ended = given === 'instance-died' || given === 'agent-exited';
  // Of a job that its runner died with, the forge says after a while that it is completed: failed.
  const missed = given === 'instance-died' && facts.diedAtWork && facts.conclusion !== 'success';
  const completed =
    (facts.forgeCompleted && !missed) ||
    facts.hookCompleted ||
    (facts.started && (facts.exited !== undefined || given !== 'instance-died'));
  const reason = ended && completed ? 'job-completed' : given;
  const failed =
    ['create-failed', 'instance-died', 'agent-exited'].includes(reason) ||
    (reason === 'time-to-start' && !facts.online) ||
    // A warm runner that was never needed ends at its time to live as it should.
    (reason === 'time-to-live' && facts.started);
  const known = reason === 'create-failed' ? problem : facts.detailOf(reason);
  const lost = failed && facts.started ? '; its job is lost' : '';
  const taken = failed && facts.interrupted ? '; the cloud had said that it takes the instance back' : '';
  const detail = `${REMOVAL_REASONS[reason]}${known ? ` (${known})` : ''}${taken}${lost}`;
  return { runner, reason, ranJob: facts.started, failed, detail };
}

/** What others may ask of a runner: its instance, how its program ended, and why it failed once its removal has begun. */
export function instanceOf(
  runner: string,
  facts: Facts,
  instanceId: string | undefined,
  reason: RemovalReason | undefined,
  problem: string | undefined,
): RunnerInstance {
  const { exited } = facts;
  const end = reason && outcomeOf(runner, reason, facts, problem);
  return {
    instanceId: instanceId ?? null,
    exited: exited ? { code: exited.code, logTail: exited.logTail } : null,
    failure: end?.failed ? end.detail : null,
  };
}
