import { defineSearchAttributeKey } from '@temporalio/common';

/**
 * The search attributes of Baton's workflows. On an SQL database Temporal accepts ten of type Keyword and three of type Int in
 * a namespace, and keeps 255 characters of a Keyword.
 */
export const SEARCH_ATTRIBUTES = {
  group: defineSearchAttributeKey('BatonGroup', 'KEYWORD'),
  forge: defineSearchAttributeKey('BatonForge', 'KEYWORD'),
  repository: defineSearchAttributeKey('BatonRepository', 'KEYWORD'),
  phase: defineSearchAttributeKey('BatonPhase', 'KEYWORD'),
  backend: defineSearchAttributeKey('BatonBackend', 'KEYWORD'),
  jobId: defineSearchAttributeKey('BatonJobId', 'KEYWORD'),
  workflow: defineSearchAttributeKey('BatonWorkflow', 'KEYWORD'),
  job: defineSearchAttributeKey('BatonJob', 'KEYWORD'),
  runId: defineSearchAttributeKey('BatonRunId', 'KEYWORD'),
  runAttempt: defineSearchAttributeKey('BatonRunAttempt', 'INT'),
} as const;
