import type { Phase } from '../../contracts/workflows/phase.ts';
import type { RunnerStatus, Status } from '../../contracts/messages/status.ts';

const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

/** A status as the orchestrator answers it, with every kind of content. */
export function sampleStatus({ waiting = 0 }: { waiting?: number }): Status {
  const runner = (suffix: string, group: string, phase: Phase, age: number, job?: string): RunnerStatus => ({
    name: `runner-manager-${group}-${suffix}`,
    group,
    backend: group === 'linux' ? 'docker' : 'local',
    phase,
    repository: job === undefined ? null : 'octo-org/octo-repo',
    workflow: job === undefined ? null : 'CI',
    job: job === undefined ? null : `test (${group})`,
    jobId: job ?? null,
    jobUrl: job === undefined ? null : `https://github.example/octo-org/octo-repo/actions/runs/1/job/${job}`,
    resources: phase === 'gone' ? 'CPU 41 % of 4 cores, memory 1.2 GB at most' : null,
    startedAt: ago(age),
    closedAt: phase === 'gone' || phase === 'failed' ? ago(age - 40) : null,
  });
  return {
    version: 1,
    installation: 'runner-manager',
    at: new Date().toISOString(),
    temporalUi: 'http://127.0.0.1:8233',
    namespace: 'default',
    groups: [
      {
        name: 'linux',
        backend: 'docker',
        labels: ['self-hosted', 'linux', 'x64'],
        min: 2,
        max: 20,
        waiting,
        oldestWaitingSince: waiting > 0 ? ago(95) : null,
        busy: 9,
        ready: 3,
        backoffUntil: null,
        mode: 'active',
        removed: false,
        wantedSlots: 0,
      },
      {
        name: 'gpu',
        backend: 'local',
        labels: ['self-hosted', 'linux', 'gpu'],
        min: 0,
        max: 2,
        waiting: 3,
        oldestWaitingSince: ago(4000),
        busy: 2,
        ready: 0,
        backoffUntil: ago(-45),
        mode: 'active',
        removed: false,
        wantedSlots: 0,
      },
      {
        name: 'quiet',
        backend: 'docker',
        labels: ['quiet'],
        min: 0,
        max: 5,
        waiting: 0,
        oldestWaitingSince: null,
        busy: 0,
        ready: 0,
        backoffUntil: null,
        mode: 'active',
        removed: false,
        wantedSlots: 0,
      },
    ],
    runners: [
      runner('a1b2c3d4', 'linux', 'busy', 300, '289782451'),
      runner('b2c3d4e5', 'linux', 'completing', 410, '289782452'),
      runner('c3d4e5f6', 'linux', 'idle', 62),
      runner('d4e5f6a7', 'linux', 'starting', 4),
      runner('e5f6a7b8', 'linux', 'provisioning', 1),
      runner('f6a7b8c9', 'gpu', 'busy', 7800, '289782460'),
      runner('a7b8c9d0', 'gpu', 'removing', 900, '289782461'),
      runner('b8c9d0e1', 'linux', 'gone', 500, '289782440'),
      runner('c9d0e1f2', 'gpu', 'failed', 640),
    ],
    deadLetters: 4,
    unserved: [
      { at: ago(30), code: 'NO_GROUP', reason: 'no group serves a job of octo-org/octo-repo with labels sparc' },
    ],
    forge: [],
  };
}
