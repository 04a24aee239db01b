import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  connect,
  credsAuthenticator,
  JSONCodec,
  NatsError,
  nanos,
  type ConnectionOptions,
  type KV,
  type Msg,
  type NatsConnection,
  type TlsOptions,
} from 'nats';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../errors.ts';
import { NAME_PATTERN } from '../workflows/runner-name.ts';
import type { StreamPlan } from '../messages/streams.ts';
import { runnerInbox } from '../messages/subjects.ts';

export type Bus = NatsConnection;

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
  const { credentialsFile: file } = options;
  // A file is read again for each connection: it may have been renewed.
  const readCredentials = (): string | undefined =>
    options.credentials ?? (file ? readFileSync(file, 'utf8') : undefined);
  const credentials = readCredentials();
  const settings: ConnectionOptions = {
    servers: options.url.split(','),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    waitOnFirstConnect: options.waitForServer ?? true,
    ignoreAuthErrorAbort: true,
  };
  /** Whether a server proved its name in a TLS handshake since the last connection was authenticated. */
  let isVerified = false;
  const requiresTls = options.tls !== undefined && options.tls !== false;
  if (options.tls !== undefined && options.tls !== false) {
    settings.tls = tlsOptions(options.tls, options.url, () => (isVerified = true));
  }
  if (credentials !== undefined || requiresTls) {
    settings.authenticator = (nonce) => {
      // The library goes on without TLS where the server's first line has the wrong type for `tls_available`.
      if (requiresTls && !isVerified) throw new Error('the server did not begin TLS, which nats.tls requires');
      isVerified = false;
      return credentials === undefined
        ? undefined
        : credsAuthenticator(new TextEncoder().encode(readCredentials()))(nonce);
    };
  }
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

/** @param onVerified called for each server that has proved its name */
function tlsOptions(
  tls: Exclude<BusOptions['tls'], false | undefined>,
  url: string,
  onVerified: () => void,
): TlsOptions {
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
      const error = errors.includes(undefined) ? undefined : (errors[0] ?? checkServerIdentity(host, certificate));
      if (error === undefined) onVerified();
      return error;
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
  const { name } = parseCredentials(credentials);
  return name !== undefined && NAME_PATTERN.test(name) ? runnerInbox(name) : undefined;
}

const claims = z.object({ name: z.string().optional(), exp: z.number().optional() });

/** The name in a credentials file's JWT, and when it expires (seconds since 1970); neither for a file of another kind. */
export function parseCredentials(credentials: string): { name?: string | undefined; exp?: number | undefined } {
  const payload = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(credentials)?.[1];
  return payload === undefined ? {} : (claims.safeParse(decode(Buffer.from(payload, 'base64url'))).data ?? {});
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

/**
 * Opens a key-value bucket, which is one of `STREAMS`. The bucket has no methods that watch or list keys: those need consumers, which
 * no service may create ({@link ./stream-reader.ts}).
 *
 * @param timeoutMs of each call. Default 5 s
 */
export async function openBucket(bus: Bus, plan: StreamPlan, timeoutMs?: number): Promise<Bucket> {
  const js = bus.jetstream(timeoutMs === undefined ? {} : { timeout: timeoutMs });
  return await js.views.kv(plan.name.slice('KV_'.length), { bindOnly: true, allow_direct: true });
}

/** A key-value bucket of NATS. */
export type Bucket = Pick<KV, 'get' | 'put' | 'create' | 'update' | 'delete'>;

const withPrefix = z.object({ options: z.object({ inboxPrefix: z.string().optional() }) });

/** The connection's inbox prefix: its credential may permit no other. */
export function getInboxPrefix(bus: Bus): string | undefined {
  return withPrefix.safeParse(bus).data?.options.inboxPrefix;
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
