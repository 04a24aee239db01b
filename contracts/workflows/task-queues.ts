/** The task queues of Baton's workers. */
export const TASK_QUEUE = {
  orchestrator: 'baton-orchestrator',
  backend: (name: string): string => `baton-backend-${name}`,
} as const;
