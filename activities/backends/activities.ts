import { cancelled, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { BackendActivities } from '../../contracts/ports/backend-activities.ts';
import type { InstanceTls } from '../../contracts/messages/bootstrap-file.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import type { Backend, Bootstrap, Instance, InstanceSpec } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { InstanceCreated } from '../../contracts/messages/runner-signal.ts';
import type { CredentialMint } from '../credentials/runner-credential.ts';
import { resolveHooks } from '../credentials/hook-secrets.ts';

/** Between heartbeats, milliseconds: a cancellation comes back with one. */
const HEARTBEAT_MS = 3000;

/** What was done, for metrics: `outcome` is `ok`, `cancelled`, or an error's code. */
export type Observe = (activity: keyof BackendActivities, outcome: string, seconds: number) => void;

export interface BackendActivityOptions {
  backend: Backend;
  /** How instances reach NATS. */
  natsUrl: string;
  /** How they trust its server; absent: as it wants. */
  natsTls?: InstanceTls | undefined;
  /** Makes runners' credentials; absent where NATS asks for none, or where instances get no bootstrap file. */
  mint?: CredentialMint | undefined;
  /** Called after each create, also a repeated one. */
  onCreated: (created: InstanceCreated) => unknown;
  observe: Observe;
  log: Logger;
}

/**
 * The activities of one backend: heartbeats while they work, cancellation as an AbortSignal. They throw BatonErrors; the
 * worker wraps them in `withFailures`.
 */
export function createBackendActivities(options: BackendActivityOptions): BackendActivities {
  const { backend, natsUrl, natsTls, mint, log } = options;

  async function run<T>(
    activity: keyof BackendActivities,
    runner: string,
    work: (abort: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const begun = performance.now();
    const abort = cancellationSignal();
    const beat = setInterval(() => heartbeat(), HEARTBEAT_MS);
    let outcome = 'ok';
    try {
      return await work(abort);
    } catch (error) {
      if (abort.aborted) {
        outcome = 'cancelled';
        // The backend threw because of the cancellation: what counts is the reason that Temporal gave.
        await cancelled();
      }
      outcome = error instanceof BatonError ? error.code : 'UNEXPECTED';
      log.warn({ runner, backend: backend.type, activity, code: outcome }, messageOf(error));
      throw error;
    } finally {
      clearInterval(beat);
      options.observe(activity, outcome, (performance.now() - begun) / 1000);
    }
  }

  return {
    createInstance: (spec) =>
      run('createInstance', spec.runner, async (abort) => {
        const instance = await backend.create(spec, await bootstrapOf(spec), abort);
        log.info({ runner: spec.runner, group: spec.group, instance: instance.id, backend: backend.type }, 'created');
        options.onCreated({
          runner: spec.runner,
          group: spec.group,
          instanceId: instance.id,
          at: new Date().toISOString(),
        });
        const { id: instanceId, machine, market } = instance;
        return { instanceId, machine, market, ...(backend.tag && { taggable: true }) };
      }),

    deleteInstance: ({ runner }) =>
      run('deleteInstance', runner, async (abort) => {
        await backend.delete(runner, abort);
        log.info({ runner, backend: backend.type }, 'deleted');
      }),

    tagInstance: ({ runner, tags }) =>
      run('tagInstance', runner, async (abort) => (await backend.tag?.(runner, tags, abort)) ?? 'absent'),

    checkInstance: ({ runner }) =>
      run('checkInstance', runner, async (abort) => stateOf(await backend.describe(runner, abort))),

    listInstances: ({ group }) =>
      run('listInstances', group, async (abort) => {
        const instances = await backend.list(abort);
        return instances
          .filter((instance) => instance.group === group)
          .map(({ runner, state, createdAt }) => ({ runner, state, since: Date.parse(createdAt) }));
      }),
  };

  async function bootstrapOf({ runner, expiresAt, hooks }: InstanceSpec): Promise<Bootstrap> {
    const credentials = mint ? await mint({ runner, expiresAt }) : '';
    return { natsUrl, natsTls, credentials, ...(hooks && { hooks: resolveHooks(hooks) }) };
  }
}

function stateOf(instance: Instance | undefined): 'alive' | 'dead' | 'absent' {
  if (instance === undefined) return 'absent';
  return instance.state === 'running' ? 'alive' : 'dead';
}
