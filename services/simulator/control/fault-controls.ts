import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { apiFault, apiFaultRate, apiOutage, type ApiFaults } from '../api/faults.ts';
import type { Simulation } from '../simulation.ts';
import { faultRates, holdRule, oneShot } from '../webhooks/faults.ts';

const releaseOrder = z.strictObject({ order: z.enum(['fifo', 'reverse', 'shuffled']).default('fifo') });

/** Controls of what goes wrong: with webhooks and with REST calls. */
export function addFaultControls(http: FastifyInstance, sim: Simulation, apiFaults: ApiFaults): void {
  const view = (): object => {
    const { rates, once, holds } = sim.webhooks.faults;
    return { rates, once, holds, api: apiFaults.pending, apiRate: apiFaults.rate, outage: apiFaults.findOutage() };
  };

  http.get('/faults', view);
  http.put('/faults', (request) => {
    Object.assign(sim.webhooks.faults.rates, faultRates.partial().parse(request.body));
    return view();
  });
  http.post('/faults/once', (request) => {
    sim.webhooks.faults.once.push(oneShot.parse(request.body));
    return view();
  });
  http.post('/faults/api', (request) => {
    apiFaults.add(z.discriminatedUnion('fault', [apiOutage, apiFault]).parse(request.body));
    return view();
  });
  http.put('/faults/api', (request) => {
    apiFaults.rate = apiFaultRate.parse(request.body).rate;
    return view();
  });
  http.delete('/faults/api', () => {
    apiFaults.clear();
    return view();
  });
  http.post('/hold', (request) => {
    sim.webhooks.faults.holds.push(holdRule.parse(request.body ?? {}));
    return view();
  });
  http.post('/release', (request) => ({
    released: sim.webhooks.release(releaseOrder.parse(request.body ?? {}).order),
  }));
}
