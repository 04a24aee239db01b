/**
 * The search attributes of Baton's workflows, by name, each with its type. On an SQL database Temporal accepts ten of type
 * Keyword and three of type Int in a namespace, and keeps 255 characters of a Keyword.
 */
export const SEARCH_ATTRIBUTES = {
  BatonGroup: 'Keyword',
  BatonForge: 'Keyword',
  BatonRepository: 'Keyword',
  BatonPhase: 'Keyword',
  BatonBackend: 'Keyword',
  BatonJobId: 'Keyword',
  BatonWorkflow: 'Keyword',
  BatonJob: 'Keyword',
  BatonRunId: 'Keyword',
  BatonRunAttempt: 'Int',
} as const;
