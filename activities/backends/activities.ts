import { cancelled, cancellationSignal } from '@temporalio/activity';
import type { BackendActivities } from '../../contracts/ports/backend-activities.ts';
import type { InstanceTls } from '../../contracts/messages/bootstrap-file.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Backend, Bootstrap, Confirm, Instance, InstanceSpec } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { InstanceCreated } from '../../contracts/messages/runner-signal.ts';
import type { CredentialMint } from '../credentials/runner-credential.ts';
import { resolveHooks } from '../credentials/hook-secrets.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';

/** Called with each finished activity, for metrics: `outcome` is `ok`, `cancelled`, or an error's code. */
export type ActivityObserver = (activity: keyof BackendActivities, outcome: string, seconds: number) => void;

export interface BackendActivityOptions {
  backend: Backend;
  /** The NATS address that instances connect to. */
  natsUrl: string;
  /** How instances verify the NATS server; absent: as the server requires. */
  natsTls?: InstanceTls | undefined;
  /** Makes runners' credentials; absent where NATS asks for none, or where instances get no bootstrap file. */
  mint?: CredentialMint | undefined;
  /** Confirms that the running attempt at a create is still the current one. Default: each is. */
  confirm?: Confirm | undefined;
  /** Called after each create, also a repeated one. */
  onCreated: (created: InstanceCreated) => unknown;
  observe: ActivityObserver;
  log: Logger;
}

/**
 * The activities of one backend: heartbeats while they work, cancellation as an AbortSignal. They throw BatonErrors;
 * the worker wraps them in `withFailures`.
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
    let outcome = 'ok';
    try {
      return await withHeartbeats(() => work(abort));
    } catch (error) {
      if (abort.aborted) {
        outcome = 'cancelled';
        // The backend threw because of the cancellation: what counts is the reason that Temporal gave.
        await cancelled();
      }
      outcome = error instanceof BatonError ? error.code : 'UNEXPECTED';
      // A pull is logged once, not for each runner that waits for it.
      const level = outcome === 'IMAGE_PULLING' ? 'debug' : 'warn';
      log[level]({ runner, backend: backend.type, activity, code: outcome }, getErrorMessage(error));
      throw error;
    } finally {
      options.observe(activity, outcome, (performance.now() - begun) / 1000);
    }
  }

  async function createBootstrap({ runner, expiresAt, hooks }: InstanceSpec): Promise<Bootstrap> {
    const credentials = mint ? await mint({ runner, expiresAt }) : '';
    return { natsUrl, natsTls, credentials, ...(hooks && { hooks: resolveHooks(hooks) }) };
  }

  return {
    createInstance: (spec) =>
      run('createInstance', spec.runner, async (abort) => {
        const instance = await backend.create(spec, await createBootstrap(spec), abort, options.confirm);
        const { id: instanceId, machine, market } = instance;
        const { runner, group } = spec;
        log.info({ runner, group, instance: instanceId, backend: backend.type }, 'instance created');
        options.onCreated({ runner, group, instanceId, at: new Date().toISOString() });
        return { instanceId, machine, market, ...(backend.tag && { taggable: true }) };
      }),

    deleteInstance: ({ runner }) =>
      run('deleteInstance', runner, async (abort) => {
        await backend.delete(runner, abort);
        log.info({ runner, backend: backend.type }, 'instance deleted');
      }),

    tagInstance: ({ runner, tags }) =>
      run('tagInstance', runner, async (abort) => (await backend.tag?.(runner, tags, abort)) ?? 'absent'),

    checkInstance: ({ runner }) =>
      run('checkInstance', runner, async (abort) => toCheckResult(await backend.describe(runner, abort))),

    listInstances: ({ group }) =>
      run('listInstances', group, async (abort) => {
        const instances = await backend.list(abort);
        return instances
          .filter((instance) => instance.group === group)
          .map(({ runner, state, createdAt }) => ({ runner, state, since: Date.parse(createdAt) }));
      }),
  };
}

function toCheckResult(instance: Instance | undefined): 'alive' | 'dead' | 'absent' {
  if (instance === undefined) return 'absent';
  return instance.state === 'running' ? 'alive' : 'dead';
}
