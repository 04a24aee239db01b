import { proxyLocalActivities } from '@temporalio/workflow';
import type { LocalActivities } from '../../contracts/ports/local-activities.ts';

/** All local activities: the only place that makes them, so that none is added that {@link LocalActivities} doesn't name. */
export const local = proxyLocalActivities<LocalActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
});
