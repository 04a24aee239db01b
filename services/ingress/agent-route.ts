import type { FastifyInstance } from 'fastify';
import type { AgentBundle } from '../../contracts/messages/bootstrap-file.ts';
import { BatonError } from '../../contracts/errors.ts';
import { toHttpError } from './http-error.ts';
import type { RefusalLog } from './refusal-log.ts';

export interface AgentRouteOptions {
  /** Builds the bundle at the first call, and returns the same one afterwards. */
  bundle: () => Promise<AgentBundle>;
  refusals: RefusalLog;
}

/**
 * `GET /agent/<sha256>.tar`: the agent and its hooks, for machines that boot. The name is the hash of the content, so
 * clients and caches may keep the file forever. It contains no secret. The answer for another version is a 404
 * (AGENT_UNKNOWN) that must not be cached, since another ingress may have that version.
 */
export async function addAgentRoute(scope: FastifyInstance, { bundle, refusals }: AgentRouteOptions): Promise<void> {
  scope.get<{ Params: { file: string } }>('/agent/:file', async (request, reply) => {
    const { archive, hash } = await bundle();
    if (request.params.file !== `${hash}.tar`) {
      const { status, body } = toHttpError(toUnknownAgentError(request.params.file, hash));
      refusals.record(request, { status, body });
      return reply.code(status).header('cache-control', 'no-store').send(body);
    }
    const tag = `"${hash}"`;
    void reply.headers({
      'cache-control': 'public, max-age=31536000, immutable',
      etag: tag,
      'x-content-type-options': 'nosniff',
    });
    if (request.headers['if-none-match'] === tag) return reply.code(304).send();
    return reply.type('application/x-tar').send(archive);
  });
}

function toUnknownAgentError(file: string, hash: string): BatonError {
  return new BatonError('AGENT_UNKNOWN', `serving agent ${file.slice(0, 80)}: this ingress has only ${hash}.tar`);
}
