import type { Permissions } from '@nats-io/jwt';
import { FORGE_BUCKET } from '../../contracts/lib/nats.ts';
import { STREAMS, type StreamPlan } from '../../contracts/messages/streams.ts';
import { PREFIX, subjects, wildcards } from '../../contracts/messages/subjects.ts';

/**
 * Who has a credential of its own. People's terminals: `observer` may ask what is going on and read the audit stream, `admin` may ask
 * and also pause, resume and drain groups and have the configuration read again.
 */
export const CREDENTIAL_NAMES = ['ingress', 'relay', 'orchestrator', 'backend', 'observer', 'admin'] as const;
export type CredentialName = (typeof CREDENTIAL_NAMES)[number];

const API = '$JS.API';
const { webhooks, signals, dead, delegations, delegatedJobs, audit, usage } = STREAMS;
/** What people ask of the services. */
const asked = [subjects.status, subjects.explain, subjects.control, subjects.apply, subjects.cost, wildcards.health];

/** Making and correcting the streams: any service that needs one makes all of them (`ensureStreams`). */
const manageStreams = [
  `${API}.INFO`,
  ...Object.values<StreamPlan>(STREAMS).flatMap(({ name }) => [
    `${API}.STREAM.CREATE.${name}`,
    `${API}.STREAM.UPDATE.${name}`,
    `${API}.STREAM.INFO.${name}`,
  ]),
];

/** Pulling from a stream with durable consumers of one's own; removing what can never be handled. */
function consume({ name }: StreamPlan): string[] {
  return [
    `${API}.CONSUMER.CREATE.${name}.>`,
    `${API}.CONSUMER.DURABLE.CREATE.${name}.*`,
    `${API}.CONSUMER.INFO.${name}.*`,
    `${API}.CONSUMER.LIST.${name}`,
    `${API}.CONSUMER.NAMES.${name}`,
    `${API}.CONSUMER.MSG.NEXT.${name}.*`,
    `${API}.STREAM.MSG.GET.${name}`,
    `${API}.DIRECT.GET.${name}`,
    `${API}.STREAM.MSG.DELETE.${name}`,
    `$JS.ACK.${name}.>`,
  ];
}

/** Reading a stream with consumers that leave nothing behind. */
function read({ name }: StreamPlan): string[] {
  return [
    `${API}.STREAM.INFO.${name}`,
    `${API}.CONSUMER.CREATE.${name}`,
    `${API}.CONSUMER.CREATE.${name}.>`,
    `${API}.CONSUMER.INFO.${name}.*`,
    `${API}.CONSUMER.DELETE.${name}.*`,
    `${API}.CONSUMER.MSG.NEXT.${name}.*`,
    `${API}.DIRECT.GET.${name}.>`,
    `$JS.FC.${name}.>`,
    `$JS.ACK.${name}.>`,
  ];
}

/** Making a key/value bucket, reading and writing it. */
function bucket(name: string): string[] {
  const stream = `KV_${name}`;
  const calls = ['STREAM.CREATE', 'STREAM.UPDATE', 'STREAM.INFO', 'STREAM.MSG.GET'].map(
    (call) => `${API}.${call}.${stream}`,
  );
  return [...calls, `${API}.DIRECT.GET.${stream}`, `${API}.DIRECT.GET.${stream}.>`, `$KV.${name}.>`];
}

/** The one inbox a credential of that name may listen to: connections take it from the credential (contracts/lib/nats.ts). */
const inbox = (name: string): string => `_INBOX_${name}.>`;

/**
 * What each service may do on the bus, and no more: one that is taken over can't act as another, and none of them
 * can read a runner's registration, whose answer goes to that runner's own inbox.
 */
export function getPermissions(service: CredentialName): Permissions {
  switch (service) {
    case 'ingress':
      return {
        pub: {
          allow: [
            ...manageStreams,
            wildcards.webhooks,
            subjects.status,
            wildcards.delegations,
            ...read(delegatedJobs),
            wildcards.delegatedJobs,
            wildcards.audit,
          ],
        },
        sub: { allow: [inbox(service)] },
      };
    case 'relay':
      return {
        pub: {
          allow: [
            ...manageStreams,
            ...consume(webhooks),
            ...consume(signals),
            ...consume(delegations),
            `${API}.DIRECT.GET.${delegatedJobs.name}.>`,
            wildcards.dead,
          ],
        },
        sub: { allow: [inbox(service), '$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', subjects.apply] },
        resp: { max: 1, ttl: 120_000_000_000 },
      };
    case 'orchestrator':
      return {
        // Jobs that it finds waiting go the way of a webhook's; those of a removed group that nobody serves, the relay's.
        pub: {
          allow: [
            ...manageStreams,
            `${PREFIX}.webhook.*.workflow_job`,
            subjects.dead(webhooks.name),
            `${API}.STREAM.MSG.GET.${dead.name}`,
            ...bucket(FORGE_BUCKET),
            ...read(delegatedJobs),
            wildcards.delegatedJobs,
            wildcards.audit,
            ...read(usage),
            wildcards.usages,
          ],
        },
        sub: { allow: [inbox(service), wildcards.register, ...asked] },
        // It may answer what it was asked, once and within two minutes (a forge's rate limit may make it wait).
        resp: { max: 1, ttl: 120_000_000_000 },
      };
    case 'backend':
      return {
        pub: { allow: [...manageStreams, wildcards.instances, wildcards.created] },
        sub: { allow: [inbox(service)] },
      };
    case 'observer':
      return {
        pub: { allow: [subjects.status, subjects.explain, subjects.cost, wildcards.health, ...read(audit)] },
        sub: { allow: [inbox(service), wildcards.created] },
      };
    case 'admin':
      return { pub: { allow: asked }, sub: { allow: [inbox(service)] } };
    default:
      throw new Error(`there is no service ${String(service)}`);
  }
}

/** What a runner's credential may do: the account holds every user that the runners' signing key signs to this. */
export const runnerPermissions: Permissions = {
  pub: { allow: [`${PREFIX}.signal.{{name()}}.>`, `${PREFIX}.register.{{name()}}`] },
  sub: { allow: [inbox('{{name()}}')] },
};
