import type { FastifyRequest } from 'fastify';
import { toRepositoryKey, type Repository } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { ApiError } from './errors.ts';

const BY_ID = /^(\/api\/v3)\/repositories\/(\d+)(?=[/?]|$)/;
const BY_NAME = /^(\/api\/v3)\/repos\/[^/]+\/[^/?]+/;

/** The address of a request for `/repositories/ID/…` as one for `/repos/OWNER/NAME/…`; all others as they are. */
export function findRepositoryUrl(sim: Simulation, url: string): string {
  const [start, prefix = '', id] = BY_ID.exec(url) ?? [];
  if (start === undefined) return url;
  const repository = [...sim.state.repositories.values()].find((candidate) => candidate.id === Number(id));
  return repository ? `${prefix}/repos/${repository.owner.login}/${repository.name}${url.slice(start.length)}` : url;
}

/** A repository that had this name once. */
export const findMovedRepository = (sim: Simulation, owner: string, name: string): Repository | undefined =>
  sim.state.formerNames.get(toRepositoryKey(owner, name));

/** The answer to a request for a repository by a former name: the address with its id. */
export function createRedirect(request: FastifyRequest, repository: Repository): ApiError {
  const path = request.url.replace(BY_NAME, `$1/repositories/${repository.id}`);
  const location = `${request.protocol}://${request.host}${path}`;
  // 301 would turn a POST into a GET.
  const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 307;
  return new ApiError(status, 'Moved Permanently', { headers: { location }, more: { url: location } });
}
