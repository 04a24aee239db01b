import { randomUUID } from 'node:crypto';
import type { RunnerEvent } from '../../contracts/workflows/runner.ts';

type SignalKind = 'online' | 'started' | 'completed' | 'exited' | 'interrupted';

/**
 * What an agent or a hook of that runner says.
 *
 * @param more `jobId`: also the id of its run, for the hooks; `code`: the program's exit code, default 0
 */
export function aRunnerSignal(
  runner: string,
  kind: SignalKind,
  more: { jobId?: number; code?: number } = {},
): RunnerEvent {
  const { jobId = 0, code = 0 } = more;
  const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString() } as const;
  const job = { runId: jobId, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
  switch (kind) {
    case 'online':
      return { type: 'signal', signal: { ...base, kind, agentVersion: '1', host: 'h' } };
    case 'interrupted':
      return { type: 'signal', signal: { ...base, kind, action: 'terminate', deadline: null } };
    case 'exited':
      return { type: 'signal', signal: { ...base, kind, code, signal: null, logTail: '' } };
    default:
      return { type: 'signal', signal: { ...base, kind, job } };
  }
}

/** What the backend's watch says of an instance that was killed. */
export function anInstanceDeath(runner: string): RunnerEvent {
  const died = {
    version: 1,
    kind: 'died',
    id: randomUUID(),
    runner,
    at: '',
    exitCode: 137,
    reason: 'was killed',
  } as const;
  return { type: 'died', died };
}
