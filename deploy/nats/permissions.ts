import type { Permissions } from '@nats-io/jwt';
import { SERVICE_STREAMS, STREAMS, type StreamPlan } from '../../contracts/messages/streams.ts';
import { PREFIX, runnerInbox, SIGNAL_KINDS, subjects, wildcards } from '../../contracts/messages/subjects.ts';

/**
 * Each of these has credentials of its own. For people: `observer` may request the status and read the audit stream; `admin` may make
 * all requests: it also pauses, resumes and drains groups, and applies a configuration. `setup` alone may create and change streams.
 */
export const CREDENTIAL_NAMES = ['setup', 'ingress', 'relay', 'orchestrator', 'backend', 'observer', 'admin'] as const;
export type CredentialName = (typeof CREDENTIAL_NAMES)[number];

const API = '$JS.API';
const { webhooks, signals, instances, dead, delegations, delegatedJobs, audit, refusals, usage, forge, groups } =
  STREAMS;

/** How long a service may take to answer a request, nanoseconds: a forge's rate limit may delay a registration. */
export const RESPONSE_TIMEOUT_NS = 120_000_000_000;

/** What a credential may do on NATS, by who is at the other end. Subjects may have wildcards. */
export interface Access {
  /** What it publishes to the account of the streams. */
  streams: string[];
  /** Requests that it makes of services. */
  requests: string[];
  /** Requests that it answers. */
  answers: string[];
  /** Messages that it sends to whoever subscribes to them. */
  sends: string[];
  /** Messages of others that it receives. */
  receives: string[];
}

/** To create and update the streams and their consumers. */
function manage({ name, consumer }: StreamPlan): string[] {
  return [
    `${API}.STREAM.CREATE.${name}`,
    `${API}.STREAM.UPDATE.${name}`,
    `${API}.STREAM.INFO.${name}`,
    ...(consumer === undefined ? [] : [`${API}.CONSUMER.DURABLE.CREATE.${name}.${consumer}`]),
    ...(consumer === undefined ? [] : [`${API}.CONSUMER.CREATE.${name}.${consumer}`]),
  ];
}

/** To see that a service's streams are there, which it may not create. */
function find(service: keyof typeof SERVICE_STREAMS): string[] {
  return [`${API}.INFO`, ...SERVICE_STREAMS[service].map((key) => `${API}.STREAM.INFO.${STREAMS[key].name}`)];
}

/** To pull from a stream with its consumer, which a service may not create: see {@link ../../contracts/lib/stream-reader.ts}. */
function consume({ name, consumer = '' }: StreamPlan): string[] {
  return [
    `${API}.CONSUMER.INFO.${name}.${consumer}`,
    `${API}.CONSUMER.MSG.NEXT.${name}.${consumer}`,
    `$JS.ACK.${name}.${consumer}.>`,
  ];
}

/** To read the messages of a stream. */
function read({ name }: StreamPlan): string[] {
  return [`${API}.DIRECT.GET.${name}`];
}

/** To read the values of a key-value bucket by key, and to write those keys. */
function records({ name }: StreamPlan, keys?: string): string[] {
  const bucket = name.slice('KV_'.length);
  return [`${API}.DIRECT.GET.${name}.>`, ...(keys === undefined ? [] : [`$KV.${bucket}.${keys}`])];
}

const NOTHING: Access = { streams: [], requests: [], answers: [], sends: [], receives: [] };

/** Each credential's share of the bus. A subject is answered, or sent, by one credential only. */
const ACCESS: Record<CredentialName, Access> = {
  setup: { ...NOTHING, streams: [`${API}.INFO`, ...Object.values(STREAMS).flatMap(manage)] },
  ingress: {
    ...NOTHING,
    streams: [
      ...find('ingress'),
      wildcards.webhooks,
      ...delegations.subjects,
      ...read(delegatedJobs),
      ...records(delegatedJobs, '>'),
      ...audit.subjects,
      ...refusals.subjects,
    ],
    requests: [subjects.status],
  },
  relay: {
    ...NOTHING,
    streams: [
      ...find('relay'),
      ...[webhooks, signals, instances, delegations].flatMap(consume),
      ...records(delegatedJobs),
      // The newest configuration.
      ...records(groups, 'config.*'),
      wildcards.dead,
    ],
    answers: [subjects.apply('relay')],
  },
  orchestrator: {
    ...NOTHING,
    // It publishes waiting jobs that it finds as webhooks do, and jobs of removed groups as dead letters, as the relay does.
    streams: [
      ...find('orchestrator'),
      `${PREFIX}.webhook.*.workflow_job`,
      subjects.dead(webhooks.name),
      `${API}.STREAM.MSG.GET.${dead.name}`,
      ...records(forge, '>'),
      ...records(groups, '>'),
      ...read(delegatedJobs),
      ...records(delegatedJobs, '>'),
      ...audit.subjects,
      ...read(usage),
      wildcards.usages,
    ],
    answers: [
      wildcards.register,
      subjects.status,
      subjects.explain,
      subjects.cost,
      wildcards.health,
      subjects.control,
      subjects.apply('orchestrator'),
    ],
  },
  backend: { ...NOTHING, streams: [...find('backend'), wildcards.died], sends: [wildcards.created] },
  observer: {
    ...NOTHING,
    streams: [`${API}.STREAM.INFO.${audit.name}`, ...read(audit), ...read(refusals)],
    requests: [subjects.status, subjects.explain, subjects.cost, wildcards.health],
    receives: [wildcards.created],
  },
  admin: {
    ...NOTHING,
    requests: [
      subjects.status,
      subjects.explain,
      subjects.cost,
      wildcards.health,
      subjects.control,
      subjects.apply('relay'),
      subjects.apply('orchestrator'),
    ],
  },
};

/** The one inbox that credentials of that name may subscribe to: connections take it from their credentials (contracts/lib/nats.ts). */
const inbox = (name: string): string => `${runnerInbox(name)}.>`;

export function getAccess(name: CredentialName): Access {
  return ACCESS[name];
}

/** What each credential may do inside its account, and no more: {@link ./accounts.ts}. */
export function getPermissions(name: CredentialName): Permissions {
  const { streams, requests, answers, sends, receives } = ACCESS[name];
  return {
    pub: { allow: [...streams, ...requests, ...sends] },
    sub: { allow: [inbox(name), ...answers, ...receives] },
    // It may answer a request, once.
    ...(answers.length > 0 && { resp: { max: 1, ttl: RESPONSE_TIMEOUT_NS } }),
  };
}

/** What a runner may do: its account limits every user that the runners' signing key signs to this. */
export const runnerPermissions: Permissions = {
  pub: {
    allow: [...SIGNAL_KINDS.map((kind) => subjects.signal('{{name()}}', kind)), subjects.register('{{name()}}')],
  },
  sub: { allow: [inbox('{{name()}}')] },
};

/** What runners ask of services. */
export const RUNNER_ACCESS: Access = { ...NOTHING, streams: [...signals.subjects], requests: [wildcards.register] };
