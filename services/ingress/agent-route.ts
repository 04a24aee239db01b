import type { FastifyInstance } from 'fastify';
import type { AgentBundle } from '../../contracts/messages/bootstrap-file.ts';
import { BatonError } from '../../contracts/errors.ts';
import { toHttpError } from './http-error.ts';

export interface AgentRouteOptions {
  /** Makes the bundle, or gives the one that was made: asked for at the first request only. */
  bundle: () => Promise<AgentBundle>;
}

/**
 * `GET /agent/<sha256>.tar`: the agent and its hooks for machines that boot. The name is the content: whoever has it may keep it
 * for ever, and a cache in front of several ingresses may, too. It holds no secret. One of another version is a 404
 * (AGENT_UNKNOWN) that nobody may keep, since the next ingress may have it.
 */
export async function addAgentRoute(scope: FastifyInstance, { bundle }: AgentRouteOptions): Promise<void> {
  scope.get<{ Params: { file: string } }>('/agent/:file', async (request, reply) => {
    const { archive, hash } = await bundle();
    if (request.params.file !== `${hash}.tar`) {
      const { status, body } = toHttpError(unknownAgent(request.params.file, hash));
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

function unknownAgent(file: string, hash: string): BatonError {
  return new BatonError('AGENT_UNKNOWN', `serving agent ${file.slice(0, 80)}: this ingress has ${hash}.tar`);
}
