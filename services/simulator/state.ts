import type { Conclusion, JobAnnotation } from './protocol.ts';
import type { JobSpec } from './workflow-file.ts';
import type { AppOptions, HookKind } from './settings.ts';

type JobStatus = 'waiting' | 'queued' | 'in_progress' | 'completed';

export interface Account {
  id: number;
  login: string;
  /** Runner groups by id; 1 is the group Default. */
  groups: Map<number, RunnerGroup>;
  /** Ids of the Apps' installations in this organisation, by the Apps' ids. */
  installations: Map<number, number>;
}

/** A GitHub App, which is installed in every organisation. */
export interface GithubApp extends Required<AppOptions> {
  /** The permissions that its installations have granted. */
  permissions: Record<string, 'read' | 'write'>;
  clientId: string;
  slug: string;
  /** Whether its installations are suspended: all calls are refused, and no webhooks sent. */
  suspended: boolean;
}

export interface Repository {
  id: number;
  owner: Account;
  name: string;
  private: boolean;
}

export interface RunnerGroup {
  id: number;
  name: string;
  default: boolean;
  visibility: 'all' | 'selected' | 'private';
  allowsPublicRepositories: boolean;
  restrictedToWorkflows: boolean;
  selectedWorkflows: string[];
  repositoryIds: Set<number>;
}

export interface RunnerScope {
  account: Account;
  /** Null for runners of the organisation. */
  repository: Repository | null;
}

export interface Runner {
  id: number;
  name: string;
  scope: RunnerScope;
  group: RunnerGroup;
  labels: string[];
  ephemeral: boolean;
  /** The secret of the runner program. */
  secret: string;
  registeredAt: number;
  /** True while it has a session. */
  online: boolean;
  /** Time of its last request, or of the end of its last open one; Infinity while one is open. */
  lastSeen: number;
  everOnline: boolean;
  job: Job | null;
  /** Answers the runner's open request for a job. */
  answerPoll: ((job: Job | null) => void) | null;
}

export interface StepRecord {
  number: number;
  name: string;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: Conclusion | null;
  startedAt: string | null;
  completedAt: string | null;
  log: string[];
}

export interface Run {
  id: number;
  repository: Repository;
  number: number;
  workflowId: number;
  workflow: string;
  path: string;
  sha: string;
  branch: string;
  actor: string;
  attempt: number;
  createdAt: number;
  updatedAt: number;
  /** Jobs of this attempt that don't exist yet, because they need others. */
  pending: JobSpec[];
  /** Jobs of all attempts. */
  jobs: Job[];
  cancelled: boolean;
  /** It is completed, whatever its jobs are: see `abandonJob`. */
  isOver: boolean;
}

export interface Job {
  id: number;
  run: Run;
  attempt: number;
  spec: JobSpec;
  status: JobStatus;
  conclusion: Conclusion | null;
  createdAt: number;
  queuedAt: number;
  startedAt: number | null;
  completedAt: number | null;
  /** Who runs or ran it; for a job that ended before it started null, or id 0. */
  runner: { id: number; name: string; groupId: number; groupName: string } | null;
  /** The runner that it is assigned to, started or not. */
  assignedTo: Runner | null;
  assignedAt: number;
  cancelRequestedAt: number | null;
  /** Answers the runner's open request for a cancellation. */
  answerCancellation: (() => void) | null;
  steps: StepRecord[];
  annotations: JobAnnotation[];
  summary: string;
  timeline: { at: string; what: string; detail?: string | undefined }[];
}

export interface Hook {
  id: number;
  kind: HookKind;
  /** Login, or `owner/name`; null for an App's. */
  target: string | null;
  /** The App that it belongs to; null for others. */
  appId: number | null;
  url: string;
  secret: string | null;
  contentType: string;
  events: string[];
  active: boolean;
  createdAt: number;
}

export interface WebhookDelivery {
  id: number;
  guid: string;
  hook: Hook;
  event: string;
  action: string | null;
  /** The body before it becomes JSON. Bodies share their common parts, so that ten thousand of them stay small. */
  payload: object;
  installationId: number | null;
  repositoryId: number | null;
  jobId: number | null;
  deliveredAt: number;
  redelivery: boolean;
  /** Seconds. */
  duration: number;
  status: string;
  statusCode: number;
  requestHeaders: Record<string, string>;
  responseHeaders: Record<string, string>;
  responseBody: string | null;
}

/** The whole state of the simulator. */
export interface State {
  accounts: Map<string, Account>;
  repositories: Map<string, Repository>;
  /** Former names of renamed and transferred repositories. */
  formerNames: Map<string, Repository>;
  runners: Map<number, Runner>;
  runs: Map<number, Run>;
  jobs: Map<number, Job>;
  /** Jobs that wait for a runner, in order. */
  queue: Set<Job>;
  /** Jobs that are assigned or in progress. */
  active: Set<Job>;
  hooks: Map<number, Hook>;
  /** Newest last. */
  deliveries: Map<number, WebhookDelivery>;
  registrationTokens: Map<string, { scope: RunnerScope; expiresAt: number }>;
  /** All JIT configs, for tests that check that none leaks. */
  jitConfigs: string[];
}

/** Names are compared as GitHub does: without regard to case. */
export const toRepositoryKey = (owner: string, name: string): string => `${owner}/${name}`.toLowerCase();
