import type { Permissions } from '@nats-io/jwt';
import { SERVICE_STREAMS, STREAMS, type StreamPlan } from '../../contracts/messages/streams.ts';
import { PREFIX, SIGNAL_KINDS, subjects, wildcards } from '../../contracts/messages/subjects.ts';

/**
 * Each of these has credentials of its own. For people: `observer` may request the status and read the audit stream; `admin` may make
 * all requests: it also pauses, resumes and drains groups, and applies a configuration. `setup` alone may create and change streams.
 */
export const CREDENTIAL_NAMES = ['setup', 'ingress', 'relay', 'orchestrator', 'backend', 'observer', 'admin'] as const;
export type CredentialName = (typeof CREDENTIAL_NAMES)[number];

const API = '$JS.API';
const { webhooks, signals, instances, dead, delegations, delegatedJobs, audit, usage, forge, groups } = STREAMS;
/** Requests that people make. */
const requests = [subjects.status, subjects.explain, subjects.control, subjects.apply, subjects.cost, wildcards.health];

/** How long a service may take to answer a request, nanoseconds: a forge's rate limit may delay a registration. */
const RESPONSE_TIMEOUT_NS = 120_000_000_000;

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

/** The one inbox that credentials of that name may subscribe to: connections take it from their credentials (contracts/lib/nats.ts). */
const inbox = (name: string): string => `_INBOX_${name}.>`;

/**
 * What each service may do on NATS, and no more: a compromised service can't act as another one, change a stream, or read a runner's
 * registration, because the reply goes to another account.
 */
export function getPermissions(service: CredentialName): Permissions {
  switch (service) {
    case 'setup':
      return {
        pub: { allow: [`${API}.INFO`, ...Object.values(STREAMS).flatMap(manage)] },
        sub: { allow: [inbox(service)] },
      };
    case 'ingress':
      return {
        pub: {
          allow: [
            ...find(service),
            wildcards.webhooks,
            subjects.status,
            ...delegations.subjects,
            ...read(delegatedJobs),
            ...records(delegatedJobs, '>'),
            ...audit.subjects,
          ],
        },
        sub: { allow: [inbox(service)] },
      };
    case 'relay':
      return {
        pub: {
          allow: [
            ...find(service),
            ...[webhooks, signals, instances, delegations].flatMap(consume),
            ...records(delegatedJobs),
            // The newest configuration.
            ...records(groups, 'config.*'),
            wildcards.dead,
          ],
        },
        sub: { allow: [inbox(service), subjects.apply] },
        resp: { max: 1, ttl: RESPONSE_TIMEOUT_NS },
      };
    case 'orchestrator':
      return {
        // It publishes waiting jobs that it finds as webhooks do, and jobs of removed groups as dead letters, as the relay does.
        pub: {
          allow: [
            ...find(service),
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
        },
        sub: { allow: [inbox(service), wildcards.register, ...requests] },
        // It may reply to a request, once.
        resp: { max: 1, ttl: RESPONSE_TIMEOUT_NS },
      };
    case 'backend':
      return {
        pub: { allow: [...find(service), wildcards.died, wildcards.created] },
        sub: { allow: [inbox(service)] },
      };
    case 'observer':
      return {
        pub: {
          allow: [
            subjects.status,
            subjects.explain,
            subjects.cost,
            wildcards.health,
            `${API}.STREAM.INFO.${audit.name}`,
            ...read(audit),
          ],
        },
        sub: { allow: [inbox(service), wildcards.created] },
      };
    case 'admin':
      return { pub: { allow: requests }, sub: { allow: [inbox(service)] } };
    default:
      throw new Error(`no credentials are named ${String(service)}`);
  }
}

/** Subjects that the account of the services imports from that of the streams: all that services do with streams. */
export function listStreamImports(): string[] {
  const users = CREDENTIAL_NAMES.filter((name) => name in SERVICE_STREAMS || name === 'observer');
  const used = users.flatMap((service) => getPermissions(service).pub?.allow ?? []);
  const stored = new Set(Object.values<StreamPlan>(STREAMS).flatMap((plan) => plan.subjects));
  const isStored = (subject: string): boolean => subject.startsWith('$') || stored.has(subject);
  return [...new Set(used.map(widen).filter(isStored))].toSorted();
}

/** Imports may not overlap: a service that may publish some subjects of a stream needs the import of all of them. */
function widen(subject: string): string {
  const match = Object.values<StreamPlan>(STREAMS)
    .flatMap((plan) => plan.subjects)
    .find((wildcard) => covers(wildcard, subject));
  return match ?? subject;
}

/** Whether a subject with wildcards covers another. */
function covers(wildcard: string, subject: string): boolean {
  const [wanted, given] = [wildcard.split('.'), subject.split('.')];
  const isOpen = wanted.at(-1) === '>';
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every((token, index) => token === '>' || token === '*' || token === given[index]);
}

/** What a runner may do: its account limits every user that the runners' signing key signs to this. */
export const runnerPermissions: Permissions = {
  pub: {
    allow: [...SIGNAL_KINDS.map((kind) => subjects.signal('{{name()}}', kind)), subjects.register('{{name()}}')],
  },
  sub: { allow: [inbox('{{name()}}')] },
};

/** What the account of the runners imports: their signals from the streams, their registration from the services. */
export const RUNNER_IMPORTS = { streams: signals.subjects, services: [wildcards.register] } as const;
