import type { Conclusion, JobAnnotation } from './protocol.ts';
import type { JobSpec } from './workflow-file.ts';
import type { HookKind } from './settings.ts';

type JobStatus = 'waiting' | 'queued' | 'in_progress' | 'completed';

export interface Account {
  id: number;
  login: string;
  /** Runner groups by id; 1 is Default. */
  groups: Map<number, RunnerGroup>;
  /** The App's installation in this organisation, where there is an App. */
  installationId: number | null;
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
  /** Set: the runner belongs to this repository alone. */
  repository: Repository | null;
}

export interface Runner {
  id: number;
  name: string;
  scope: RunnerScope;
  group: RunnerGroup;
  labels: string[];
  ephemeral: boolean;
  /** What the runner program proves itself with. */
  secret: string;
  registeredAt: number;
  /** Set from its session's begin to its end. */
  online: boolean;
  /** When its last request came or its last open one ended; Infinity while one is open. */
  lastSeen: number;
  everOnline: boolean;
  job: Job | null;
  /** Answers the runner's open question for a job. */
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
  /** Jobs yet to be created in this attempt: their needs aren't met. */
  pending: JobSpec[];
  /** Jobs of all attempts. */
  jobs: Job[];
  cancelled: boolean;
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
  /** Who has it or had it; on completion before pickup null, or as id 0. */
  runner: { id: number; name: string; groupId: number; groupName: string } | null;
  /** Handed to it, whether begun or not. */
  assignedTo: Runner | null;
  assignedAt: number;
  cancelRequestedAt: number | null;
  /** Tells the runner of a cancellation. */
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
  /** The parsed body; its JSON is what is sent. Shared parts are shared, which keeps ten thousand of them small. */
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

/** All that the simulator knows. */
export interface State {
  accounts: Map<string, Account>;
  repositories: Map<string, Repository>;
  runners: Map<number, Runner>;
  runs: Map<number, Run>;
  jobs: Map<number, Job>;
  /** Waiting for a runner, in order. */
  queue: Set<Job>;
  /** Assigned or in progress. */
  active: Set<Job>;
  hooks: Map<number, Hook>;
  /** Newest last. */
  deliveries: Map<number, WebhookDelivery>;
  registrationTokens: Map<string, { scope: RunnerScope; expiresAt: number }>;
  /** Every JIT config ever handed out, as it was: for tests that look whether one leaked. */
  jitConfigs: string[];
}

/** Names are compared as GitHub does: without regard to case. */
export const toRepositoryKey = (owner: string, name: string): string => `${owner}/${name}`.toLowerCase();
