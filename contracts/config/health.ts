import { z } from 'zod';
import { duration } from './duration.ts';

/** How often each group is compared with forge and backend. A group may have its own interval. */
export const healthCheckInterval = duration.refine((ms) => ms >= 1000, 'must be at least 1s');

export const webhookUrl = z
  .url({ protocol: /^https?$/ })
  .describe('Baton’s own webhook address; needed if there are several webhooks for jobs.');
