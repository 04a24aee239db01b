import { randomUUID } from 'node:crypto';
import { cancellationSignal } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { healthScheduleId } from '../../contracts/workflows/health.ts';
import { RUNNER_EVENTS, type RunnerEvent, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import type { Forge, LookOptions } from '../../contracts/ports/forge.ts';
import type { HealthActivities } from '../../contracts/ports/health-activities.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import { isRunnerOfGroup } from '../../contracts/workflows/runner-name.ts';
import { REMOVAL_REASONS } from '../../contracts/workflows/phase.ts';
import type { SignalDispatcher } from '../signals/signaller.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';
import { ignoreMissing } from '../lib/missing.ts';
import { findLostJobs, recheckDemand } from './demand.ts';
import { confirmOrphaned, listSlots, listWorkflows } from './observations.ts';

export interface HealthActivityOptions {
  client: Client;
  forge: Forge;
  signalDispatcher: SignalDispatcher;
  /** Publishes a job event to the stream of webhooks; resolves when the stream has acknowledged it. */
  publish: (event: JobEvent) => Promise<void>;
  log: Logger;
}

/** The health check's activities, except those on instances, which belong to their backend. */
export function createHealthActivities(options: HealthActivityOptions): HealthActivities {
  const { client, forge, signalDispatcher, log } = options;
  return {
    listWorkflows: ({ settings }) => withHeartbeats(() => listWorkflows(client, settings)),

    listSlots: ({ group }) => listSlots(client, group),

    confirmOrphaned: (order) => withHeartbeats(() => confirmOrphaned(client, order)),

    listRegistrations: ({ settings: { installation, name, scope }, maxAgeMs }) =>
      withHeartbeats(async () => {
        const all = await forge.listRegistrations(scope, toLook(maxAgeMs));
        // The organisation or repository also has runners of other groups, and perhaps of other installations.
        const ours = all.filter((runner) => isRunnerOfGroup(installation, name, runner.name));
        return ours.map((runner) => ({ runner: runner.name, busy: runner.busy }));
      }),

    reconcileRunnerGroup: ({ settings: { name: group, scope }, access, maxAgeMs }) =>
      withHeartbeats(async () => {
        const done = await forge.reconcileRunnerGroup({ scope, group, access }, toLook(maxAgeMs));
        if (done.changes.length > 0) log.warn({ group, ...done }, 'runner group had drifted and was reset');
        return done;
      }),

    recheckDemand: (order) => withHeartbeats(() => recheckDemand(options, { ...order, signal: cancellationSignal() })),

    redeliver: ({ hooks, hookUrl: url, since, failing }) =>
      withHeartbeats(async () => {
        const known = new Map(failing);
        const again: [string, number][] = [];
        const notes: string[] = [];
        const signal = cancellationSignal();
        const failures: unknown[] = [];
        for (const hook of hooks) {
          try {
            const done = await forge.redeliver({ hook, url, since, failing: known }, { signal });
            again.push(...done.again);
            notes.push(...done.notes);
          } catch (error) {
            // The others are looked at all the same.
            failures.push(error);
          }
        }
        if (again.length > 0) log.info({ deliveries: again.map(([guid]) => guid) }, 'webhooks redelivered');
        // The next check then looks at the same time span of every hook again.
        if (failures.length > 0) throw failures[0];
        return { redelivered: again.length, failing: again, notes };
      }),

    findLostJobs: ({ settings, maxAgeMs }) => withHeartbeats(() => findLostJobs(options, settings, toLook(maxAgeMs))),

    freeSlots: async ({ group, runners }) => {
      const detail = REMOVAL_REASONS.vanished;
      const outcome = { reason: 'vanished', ranJob: false, failed: false, detail } as const;
      await signalDispatcher(
        group,
        runners.map((runner) => ({ type: 'gone', outcome: { ...outcome, runner } })),
      );
    },

    signalInstanceMissing: async ({ group, runner }) => {
      const died = { version: 1, id: randomUUID(), runner, kind: 'died', exitCode: null } as const;
      const events: RunnerEvent[] = [
        {
          type: 'died',
          died: { ...died, at: new Date().toISOString(), reason: 'is gone: the backend has no such instance' },
        },
      ];
      await ignoreMissing(client.workflow.getHandle(runnerWorkflowId(group, runner)).signal(RUNNER_EVENTS, events));
    },

    checkRegistration: ({ settings: { scope }, runner }) =>
      withHeartbeats(async () => {
        const found = await forge.findRegistration(scope, runner, { signal: cancellationSignal() });
        return found === undefined ? 'absent' : 'present';
      }),

    signalUnregistered: async ({ group, runner }) => {
      const events: RunnerEvent[] = [{ type: 'unregistered', at: new Date().toISOString() }];
      await ignoreMissing(client.workflow.getHandle(runnerWorkflowId(group, runner)).signal(RUNNER_EVENTS, events));
    },

    recordHealthNote: async ({ group, note }) => {
      const schedule = client.schedule.getHandle(healthScheduleId(group));
      // When a group is removed, so is its schedule.
      await ignoreMissing(schedule.update((now) => ({ ...now, state: { ...now.state, note } })));
    },
  };
}

/** A look that another activity may have begun already; it is given up when this activity is cancelled and nobody else waits. */
const toLook = (maxAgeMs: number): Required<LookOptions> => ({
  notBefore: Date.now() - maxAgeMs,
  signal: cancellationSignal(),
});
