import type { Permissions } from '@nats-io/jwt';
import { FORGE_BUCKET, GROUPS_BUCKET } from '../../contracts/lib/nats.ts';
import { STREAMS, type StreamPlan } from '../../contracts/messages/streams.ts';
import { PREFIX, subjects, wildcards } from '../../contracts/messages/subjects.ts';

/**
 * Each of these has credentials of its own. For people: `observer` may request the status and read the audit stream; `admin` may make
 * all requests: it also pauses, resumes and drains groups, and applies a configuration.
 */
export const CREDENTIAL_NAMES = ['ingress', 'relay', 'orchestrator', 'backend', 'observer', 'admin'] as const;
export type CredentialName = (typeof CREDENTIAL_NAMES)[number];

const API = '$JS.API';
const { webhooks, signals, dead, delegations, delegatedJobs, audit, usage } = STREAMS;
/** Requests that people make. */
const requests = [subjects.status, subjects.explain, subjects.control, subjects.apply, subjects.cost, wildcards.health];

/** To create and update the streams: any service that needs one creates all of them (`ensureStreams`). */
const manageStreams = [
  `${API}.INFO`,
  ...Object.values<StreamPlan>(STREAMS).flatMap(({ name }) => [
    `${API}.STREAM.CREATE.${name}`,
    `${API}.STREAM.UPDATE.${name}`,
    `${API}.STREAM.INFO.${name}`,
  ]),
];

/** To pull from a stream with durable consumers. */
function consume({ name }: StreamPlan): string[] {
  return [
    `${API}.CONSUMER.CREATE.${name}.>`,
    `${API}.CONSUMER.DURABLE.CREATE.${name}.*`,
    `${API}.CONSUMER.INFO.${name}.*`,
    `${API}.CONSUMER.MSG.NEXT.${name}.*`,
    `$JS.ACK.${name}.>`,
  ];
}

/** To read a stream, whose information one may see, with consumers that leave nothing behind. */
function read({ name }: StreamPlan): string[] {
  return [
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

/** To create, read and write a key/value bucket. */
function bucket(name: string): string[] {
  const stream = `KV_${name}`;
  const calls = ['STREAM.CREATE', 'STREAM.UPDATE', 'STREAM.INFO', 'STREAM.MSG.GET'].map(
    (call) => `${API}.${call}.${stream}`,
  );
  return [...calls, `${API}.DIRECT.GET.${stream}`, `${API}.DIRECT.GET.${stream}.>`, `$KV.${name}.>`];
}

/**
 * To create a key/value bucket, to read its values, and to write those keys. Short: a credential has to fit into one line of NATS'
 * protocol.
 */
function records(name: string, keys = '>'): string[] {
  const stream = `KV_${name}`;
  return [
    `${API}.STREAM.CREATE.${stream}`,
    `${API}.STREAM.INFO.${stream}`,
    `${API}.DIRECT.GET.${stream}.>`,
    `$KV.${name}.${keys}`,
  ];
}

/** The one inbox that credentials of that name may subscribe to: connections take it from their credentials (contracts/lib/nats.ts). */
const inbox = (name: string): string => `_INBOX_${name}.>`;

/**
 * What each service may do on NATS, and no more: a compromised service can't act as another one, and none can read a runner's
 * registration, because the reply goes to that runner's own inbox.
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
            // The newest configuration.
            ...records(GROUPS_BUCKET, 'config.*'),
            wildcards.dead,
          ],
        },
        sub: { allow: [inbox(service), '$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', subjects.apply] },
        resp: { max: 1, ttl: 120_000_000_000 },
      };
    case 'orchestrator':
      return {
        // It publishes waiting jobs that it finds as webhooks do, and jobs of removed groups as dead letters, as the relay does.
        pub: {
          allow: [
            ...manageStreams,
            `${PREFIX}.webhook.*.workflow_job`,
            subjects.dead(webhooks.name),
            `${API}.STREAM.MSG.GET.${dead.name}`,
            ...bucket(FORGE_BUCKET),
            ...records(GROUPS_BUCKET),
            ...read(delegatedJobs),
            wildcards.delegatedJobs,
            wildcards.audit,
            ...read(usage),
            wildcards.usages,
          ],
        },
        sub: { allow: [inbox(service), wildcards.register, ...requests] },
        // It may reply to a request, once and within two minutes (a forge's rate limit may delay it).
        resp: { max: 1, ttl: 120_000_000_000 },
      };
    case 'backend':
      return {
        pub: { allow: [...manageStreams, wildcards.instances, wildcards.created] },
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

/** What a runner may do: the account limits every user that the runners' signing key signs to this. */
export const runnerPermissions: Permissions = {
  pub: { allow: [`${PREFIX}.signal.{{name()}}.>`, `${PREFIX}.register.{{name()}}`] },
  sub: { allow: [inbox('{{name()}}')] },
};
