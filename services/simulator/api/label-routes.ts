import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { requestAssignment } from '../jobs/assign.ts';
import { isReadOnlyLabel, toRunnerLabels, toUniqueLabels } from '../shapes/runner.ts';
import type { Simulation } from '../simulation.ts';
import { invalid, notFound } from './errors.ts';
import { parseBody, type Params, type Request } from './request.ts';
import { findRunner } from './runner-routes.ts';

const names = z.array(z.string().min(1).max(256)).max(100);
const added = z.object({ labels: names.min(1) });
const replaced = z.object({ labels: names });

/** Routes of a runner's labels; GitHub's own labels can't be removed. */
export function addLabelRoutes(http: FastifyInstance, sim: Simulation): void {
  const change = (request: Request, labels: (before: string[]) => string[]) => {
    const runner = findRunner(sim, request);
    runner.labels = toUniqueLabels(labels(runner.labels));
    requestAssignment(sim);
    return { total_count: runner.labels.length, labels: toRunnerLabels(runner) };
  };

  for (const owner of ['/orgs/:org', '/repos/:owner/:repo']) {
    const path = `${owner}/actions/runners/:id/labels`;
    http.get<{ Params: Partial<Params> }>(path, (request) => change(request, (before) => before));
    http.post<{ Params: Partial<Params> }>(path, (request) => {
      const { labels } = parseBody(request, added);
      return change(request, (before) => [...before, ...labels]);
    });
    http.put<{ Params: Partial<Params> }>(path, (request) => {
      const { labels } = parseBody(request, replaced);
      return change(request, (before) => [...before.filter(isReadOnlyLabel), ...labels]);
    });
    http.delete<{ Params: Partial<Params> }>(path, (request) =>
      change(request, (before) => before.filter(isReadOnlyLabel)),
    );
    http.delete<{ Params: Partial<Params> }>(`${path}/:name`, (request) => {
      const { name = '' } = request.params;
      const same = (label: string): boolean => label.toLowerCase() === name.toLowerCase();
      if (!findRunner(sim, request).labels.some(same)) throw notFound();
      if (isReadOnlyLabel(name)) throw invalid('Read-only labels cannot be removed.');
      return change(request, (before) => before.filter((label) => !same(label)));
    });
  }
}
