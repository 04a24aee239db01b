import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { formatScope, registerRunner, removeRunner, listRunners } from '../jobs/runners.ts';
import type { JitConfig } from '../protocol.ts';
import { toRunnerShape, toUniqueLabels, seemsBusy } from '../shapes/runner.ts';
import type { Runner, RunnerGroup, RunnerScope } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { ApiError, invalid, notFound } from './errors.ts';
import { parseBody, parseNumber, paginate, findScope, type Params, type Request } from './request.ts';

const jitOrder = z.object({
  name: z.string().min(1).max(64),
  runner_group_id: z.number().int(),
  labels: z.array(z.string().min(1).max(256)).min(1).max(100),
  work_folder: z.string().min(1).default('_work'),
});

const listQuery = z.object({ name: z.string().optional() });

/** A header in which a request may give the runner another address of the simulator. */
export const SERVER_URL_HEADER = 'x-simulator-runner-url';

/** Routes of the runners of an organisation or repository. */
export function addRunnerRoutes(http: FastifyInstance, sim: Simulation): void {
  for (const owner of ['/orgs/:org', '/repos/:owner/:repo']) {
    const path = `${owner}/actions/runners`;

    http.post<{ Params: Partial<Params> }>(`${path}/generate-jitconfig`, (request, reply) => {
      const scope = findScope(sim, request, 'runners');
      const order = parseBody(request, jitOrder);
      const group = scope.account.groups.get(order.runner_group_id);
      if (!group || (scope.repository && !group.default)) throw notFound();
      if (listRunners(sim, scope).some((runner) => runner.name.toLowerCase() === order.name.toLowerCase())) {
        throw new ApiError(409, `Already exists - A runner with the name ${order.name} already exists.`);
      }
      assertRoom(sim, group);
      sim.limiter.register(request.actor, formatScope(scope));
      const labels = toUniqueLabels(order.labels);
      const runner = registerRunner(sim, { name: order.name, scope, group, labels, ephemeral: true });
      const address = request.headers[SERVER_URL_HEADER];
      const encoded = encodeJitConfig(
        runner,
        order.work_folder,
        typeof address === 'string' ? address : sim.urls.runner,
      );
      sim.state.jitConfigs.push(encoded);
      return reply.code(201).send({ runner: toRunnerShape(sim, runner), encoded_jit_config: encoded });
    });

    http.get<{ Params: Partial<Params> }>(path, (request, reply) => {
      const scope = findScope(sim, request, 'runners');
      const { name } = listQuery.parse(request.query);
      const all = listRunners(sim, scope).filter((runner) => name === undefined || runner.name === name);
      const page = paginate(request, reply, all).map((runner) => toRunnerShape(sim, runner));
      return { total_count: all.length, runners: page };
    });

    http.get<{ Params: Partial<Params> }>(`${path}/:id`, (request) => toRunnerShape(sim, findRunner(sim, request)));

    http.delete<{ Params: Partial<Params> }>(`${path}/:id`, (request, reply) => {
      const runner = findRunner(sim, request);
      if (seemsBusy(sim, runner)) {
        throw invalid(`Runner "${runner.name}" is currently running a job and cannot be deleted.`);
      }
      removeRunner(sim, runner, 'api');
      return reply.code(204).send();
    });

    for (const kind of ['registration-token', 'remove-token']) {
      http.post<{ Params: Partial<Params> }>(`${path}/${kind}`, (request, reply) => {
        const scope = findScope(sim, request, 'runners');
        // Capitals and digits, as in GitHub's tokens: config.sh would take a token that begins with a dash for an option.
        const token = randomBytes(18).toString('base64url').toUpperCase().replaceAll(/[-_]/g, '0');
        const expiresAt = Date.now() + 3_600_000;
        if (kind === 'registration-token') sim.state.registrationTokens.set(token, { scope, expiresAt });
        return reply.code(201).send({ token, expires_at: new Date(expiresAt).toISOString() });
      });
    }
  }
}

/** Checks that a group can get one more runner. @throws ApiError 422 */
function assertRoom(sim: Simulation, group: RunnerGroup): void {
  const max = sim.limits.runnersPerGroup;
  if (max === 0 || sim.state.runners.size < max) return;
  const members = [...sim.state.runners.values()].filter((runner) => runner.group === group).length;
  if (members >= max) {
    throw invalid(`Invalid Argument - Runner group ${group.id} has reached max limit of ${max} runners.`);
  }
}

/** The runner in the path. @throws ApiError 404 */
export function findRunner(sim: Simulation, request: Request): Runner {
  const scope: RunnerScope = findScope(sim, request, 'runners');
  const runner = sim.state.runners.get(parseNumber(request.params.id));
  if (!runner || runner.scope.account !== scope.account || runner.scope.repository !== scope.repository) {
    throw notFound();
  }
  return runner;
}

/** What a runner program needs to come online. It is as large as GitHub's, which contains keys. */
export function encodeJitConfig(runner: Runner, workFolder: string, serverUrl: string): string {
  const config: JitConfig & { padding: string } = {
    version: 1,
    serverUrl,
    runnerId: runner.id,
    runnerName: runner.name,
    secret: runner.secret,
    workFolder,
    padding: randomBytes(1536).toString('base64'),
  };
  return Buffer.from(JSON.stringify(config)).toString('base64');
}
