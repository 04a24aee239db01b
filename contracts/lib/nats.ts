import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  connect,
  credsAuthenticator,
  DiscardPolicy,
  JSONCodec,
  NatsError,
  nanos,
  RetentionPolicy,
  StorageType,
  type ConnectionOptions,
  type KV,
  type Msg,
  type NatsConnection,
  type TlsOptions,
} from 'nats';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../errors.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';
import { STREAMS, type StreamPlan } from '../messages/streams.ts';
import { runnerInbox } from '../messages/subjects.ts';

export type Bus = NatsConnection;

/** The NATS key-value bucket in which orchestrators share their budgets of calls to the forge. */
export const FORGE_BUCKET = 'BATON_FORGE';

/**
 * The NATS key-value bucket with the newest configuration, and the runner groups that orchestrators have made on the forge.
 * Kept for ever.
 */
export const GROUPS_BUCKET = 'BATON_GROUPS';

export interface BusOptions {
  /** `nats://host:port`, or several separated by commas. */
  url: string;
  /**
   * `true` requires TLS with the system's authorities. Otherwise files, as in `nats.tls` of the configuration, or the authority
   * itself, PEM. The server's certificate must have the name in `url`. Default: the server decides.
   */
  tls?:
    | boolean
    | {
        ca?: string | undefined;
        cert?: string | undefined;
        key?: string | undefined;
        authority?: string | undefined;
      }
    | undefined;
  /** The name of the client in NATS's monitoring. */
  name: string;
  /** Path of a credentials file; {@link BusOptions.credentials} is its content. */
  credentialsFile?: string | undefined;
  credentials?: string | undefined;
  /** Prefix of inboxes. Default: `_INBOX_<name in the credential>`, the only one that Baton's credentials allow. */
  inboxPrefix?: string | undefined;
  /** Whether to wait for a server that is not running yet, as services do. Default true. */
  waitForServer?: boolean;
}

/**
 * Connects to NATS; all code uses this function. The connection is restored whenever it is lost.
 *
 * @throws BatonError BUS_UNAVAILABLE (no server and `waitForServer` false), BUS_DENIED (credential refused)
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const credentials =
    options.credentials ?? (options.credentialsFile ? readFileSync(options.credentialsFile, 'utf8') : undefined);
  const settings: ConnectionOptions = {
    servers: options.url.split(','),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    waitOnFirstConnect: options.waitForServer ?? true,
    ignoreAuthErrorAbort: true,
  };
  if (options.tls !== undefined && options.tls !== false) settings.tls = tlsOptions(options.tls, options.url);
  if (credentials !== undefined) settings.authenticator = credsAuthenticator(new TextEncoder().encode(credentials));
  const inbox = options.inboxPrefix ?? (credentials === undefined ? undefined : parseInboxPrefix(credentials));
  if (inbox !== undefined) settings.inboxPrefix = inbox;
  try {
    return await connect(settings);
  } catch (error) {
    const code = error instanceof NatsError && /AUTH|PERMISSION/i.test(error.code) ? 'BUS_DENIED' : 'BUS_UNAVAILABLE';
    throw new BatonError(code, `connecting ${options.name} to NATS at ${options.url}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  }
}

function tlsOptions(tls: Exclude<BusOptions['tls'], false | undefined>, url: string): TlsOptions {
  const { ca, cert, key, authority } = tls === true ? {} : tls;
  const files = {
    ...(authority === undefined ? {} : { ca: authority }),
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(cert === undefined || key === undefined ? {} : { certFile: cert, keyFile: key }),
  };
  const hosts = url.split(',').map(parseHost);
  return Object.assign(files, {
    // For a server with a numeric address the library passes no name, and Node would check for `localhost`.
    checkServerIdentity: (host: string, certificate: PeerCertificate): Error | undefined => {
      const names = hosts.includes(host) ? [host] : hosts.filter((name) => isIP(name) !== 0);
      const errors = names.map((name) => checkServerIdentity(name, certificate));
      return errors.includes(undefined) ? undefined : (errors[0] ?? checkServerIdentity(host, certificate));
    },
  });
}

/** `nats://host:4222`, `host:4222`, `tls://[::1]:4222` */
function parseHost(server: string): string {
  const address = server.includes('://') ? server.trim() : `nats://${server.trim()}`;
  return new URL(address).hostname.replace(/^\[|\]$/g, '');
}

/** The inbox prefix of a credentials file, from the name in its JWT; undefined for credentials that Baton did not create. */
function parseInboxPrefix(credentials: string): string | undefined {
  const payload = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(credentials)?.[1];
  if (payload === undefined) return undefined;
  const claims = z.object({ name: z.string().regex(NAME_PATTERN) });
  const parsed = claims.safeParse(decode(Buffer.from(payload, 'base64url')));
  return parsed.success ? runnerInbox(parsed.data.name) : undefined;
}

/** Creates or updates the streams in {@link STREAMS}. Several services may run it at the same time. */
export async function ensureStreams(bus: Bus): Promise<void> {
  const jetstreamManager = await bus.jetstreamManager();
  for (const plan of Object.values<StreamPlan>(STREAMS)) {
    const config = {
      name: plan.name,
      subjects: plan.subjects,
      retention: plan.retention === 'workqueue' ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: plan.retention === 'workqueue' ? DiscardPolicy.New : DiscardPolicy.Old,
      duplicate_window: plan.duplicateWindowNs,
      max_age: plan.maxAgeNs,
      max_bytes: plan.maxBytes,
      ...(plan.maxMessageBytes === undefined ? {} : { max_msg_size: plan.maxMessageBytes }),
      ...(plan.latestOnly
        ? { max_msgs_per_subject: 1, allow_rollup_hdrs: true, deny_delete: true, allow_direct: true }
        : {}),
    };
    try {
      await jetstreamManager.streams.add(config);
    } catch (error) {
      // 10058: the stream exists with another configuration.
      if (error instanceof NatsError && error.api_error?.err_code === 10058) {
        await jetstreamManager.streams.update(plan.name, config);
      } else {
        throw new BatonError('BUS_UNAVAILABLE', `creating stream ${plan.name}: ${getErrorMessage(error)}`, {
          cause: error,
        });
      }
    }
  }
}

const codec = JSONCodec();

/** A value as a message body. */
export function encode(value: unknown): Uint8Array {
  return codec.encode(value);
}

/**
 * A message body as JSON. It is not trusted yet: parse it with a schema.
 *
 * @throws BatonError MESSAGE_INVALID when it isn't JSON
 */
export function decode(data: Uint8Array): unknown {
  try {
    return codec.decode(data);
  } catch (error) {
    throw new BatonError('MESSAGE_INVALID', `reading a message of ${data.length} bytes: not JSON`, { cause: error });
  }
}

export { nanos };
export type { Msg };

/** Opens {@link GROUPS_BUCKET}, and creates it where it does not exist. */
export async function openGroupsBucket(bus: Bus, timeoutMs?: number): Promise<KV> {
  const js = bus.jetstream(timeoutMs === undefined ? {} : { timeout: timeoutMs });
  return await js.views.kv(GROUPS_BUCKET, { history: 1 });
}

/** What {@link writeRevision} needs of a NATS bucket. */
export interface RevisionBucket {
  create(key: string, value: Uint8Array): Promise<number>;
  /** @throws where the bucket has another revision */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
}

/**
 * Writes a value where the key has that revision still; 0: where it has none.
 *
 * @returns the new revision; undefined when another process changed the value first
 */
export async function writeRevision(
  bucket: RevisionBucket,
  key: string,
  value: unknown,
  revision: number,
): Promise<number | undefined> {
  try {
    if (revision === 0) return await bucket.create(key, encode(value));
    return await bucket.update(key, encode(value), revision);
  } catch (error) {
    // Error 10071: the bucket has a newer revision.
    if (getErrorMessage(error).includes('wrong last sequence')) return undefined;
    throw error;
  }
}
