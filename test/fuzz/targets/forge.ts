import { expect } from 'vitest';
import { findReachedLimit, readPrimaryLimit } from '../../../activities/forges/github/scheduler/limits.ts';
import { runnerGroup } from '../../../activities/forges/github/runner-group-access.ts';
import { runnerPage } from '../../../activities/forges/github/runners.ts';
import { PullProgress } from '../../../activities/backends/docker/pull-progress.ts';
import { isNotFound, toBackendError } from '../../../activities/backends/gce/errors.ts';
import { jobEvent } from '../../../contracts/messages/job-event.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { createSignatureCheck } from '../../../services/ingress/signature.ts';
import { toJobEvent } from '../../../services/ingress/workflow-job.ts';
import { parseWorkerSlots } from '../../../services/shared/slot-metrics.ts';
import type { FuzzTarget } from '../lib/target.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const checkSignature = createSignatureCheck([{ env: 'SECRET' }], createLogger('test', 'silent'), { SECRET: 'sesame' });

/** JSON as the HTTP library hands it over; undefined where it is none, which the library refuses. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the forge, clouds and engines send. */
export const forgeTargets: FuzzTarget[] = [
  {
    name: 'webhook-workflow-job',
    errors: ['WEBHOOK_INVALID'],
    run: (text) => {
      const event = toJobEvent(parseJson(text), { forge: 'github', delivery: 'd', at: new Date(NOW) });
      // The relay can read whatever the ingress publishes.
      if (event !== undefined) expect(jobEvent.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
    },
  },
  {
    name: 'webhook-signature',
    run: async (text) => {
      expect(await checkSignature('{}', text)).toMatchObject({ valid: false });
      expect(await checkSignature(text, 'sha256=00')).toMatchObject({ valid: false });
    },
  },
  {
    name: 'forge-limits',
    run: (text) => {
      const lines = new Map(
        text.split('\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1).trim()]),
      );
      const header = (name: string): string | undefined => lines.get(name);
      for (const status of [200, 403, 429]) findReachedLimit({ status, header, body: text }, NOW);
      const limit = readPrimaryLimit({ header });
      if (limit !== undefined) expect(Number.isNaN(limit.remaining)).toBe(false);
    },
  },
  { name: 'forge-runners', run: (text) => runnerPage.safeParse(parseJson(text)) },
  { name: 'forge-runner-group', run: (text) => runnerGroup.safeParse(parseJson(text)) },
  {
    name: 'docker-pull',
    run: (text) => {
      const progress = new PullProgress();
      for (const line of text.split('\n')) progress.apply(parseJson(line));
      expect(progress.toString()).toMatch(/^(no layer yet|\d+ of \d+ layers)/);
    },
  },
  {
    name: 'gce-error',
    run: (text) => {
      isNotFound(parseJson(text), 'r1');
      expect(toBackendError('creating r1', parseJson(text), 'invalid').message.length).toBeLessThan(1100);
    },
  },
  {
    name: 'worker-slots',
    run: (text) => {
      for (const { count } of parseWorkerSlots(text)) expect(count).toBeGreaterThanOrEqual(0);
    },
  },
];
