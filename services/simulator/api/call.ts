import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LimitName, LimitResource } from '../limits/limit-error.ts';
import { toLimitKey } from '../limits/rate-limiter.ts';
import type { Simulation } from '../simulation.ts';

/** What the simulator notes about one REST call. */
interface Call {
  /** Points of the secondary limit; 0 where a limit or an outage refused it. */
  cost: number;
  /** The limit that refused it. */
  limited: LimitName | null;
  /** The hourly limit that its answer's headers describe. */
  resource: LimitResource;
  /** The caller gets no answer. */
  lost: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for everything under /api/v3. */
    call: Call;
  }
}

/** Begins to note what happens to a call; logs it as `api.call` when it is over. */
export function trackCall(sim: Simulation, request: FastifyRequest, reply: FastifyReply): void {
  request.call = { cost: 0, limited: null, resource: 'core', lost: false };
  reply.raw.once('close', () => {
    const { actor, call } = request;
    sim.log.add('api.call', {
      method: request.method,
      path: request.url.slice('/api/v3'.length).split('?')[0],
      status: call.lost || !reply.raw.writableFinished ? 0 : reply.statusCode,
      actor: actor?.kind ?? null,
      by: actor?.kind === 'token' ? actor.fingerprint : null,
      account: actor ? toLimitKey(actor) : null,
      cost: call.cost,
      limited: call.limited !== null,
      limit: call.limited,
      ms: Math.round(reply.elapsedTime),
    });
  });
}
