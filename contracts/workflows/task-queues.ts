/**
 * The task queues of Baton's workers. What may wait long never shares a queue with what must be quick: a worker has a fixed number of
 * slots, and activities that wait would take them all.
 */
export const TASK_QUEUE = {
  /** Dispatchers and all other workflows but runners, and the activities that start runners and hand out slots. */
  orchestrator: 'baton-orchestrator',
  /** Runners' workflows: hundreds may have something to do at once, and no dispatcher waits behind them. */
  runners: 'baton-runners',
  /** Questions to workflows, signals to many of them, and records on the bus. */
  signals: 'baton-signals',
  /** Calls to the forge on behalf of a runner or a delegation. */
  forge: 'baton-forge',
  /** Health checks, which no job waits for. */
  forgeBackground: 'baton-forge-background',
  /** Creations of instances: they may be slow, and wait for a cloud's capacity. */
  backendCreations: (name: string): string => `baton-create-${name}`,
  /** Everything else that a backend does: deletions, checks, lists and tags. None of them waits behind a creation. */
  backend: (name: string): string => `baton-backend-${name}`,
} as const;
