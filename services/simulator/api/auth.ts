import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { z } from 'zod';
import type { Account, GithubApp } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import type { Actor, Permissions } from './actor.ts';
import { ApiError, invalid } from './errors.ts';

const header = z.object({ alg: z.literal('RS256') });
const claims = z.object({
  iss: z.union([z.string(), z.number()]),
  iat: z.number(),
  exp: z.number(),
});

const decode = (part: string | undefined): unknown =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as unknown;

interface IssuedToken {
  app: GithubApp;
  installationId: number;
  account: Account;
  permissions: Permissions;
  expiresAt: number;
}

const issued = new WeakMap<Simulation, Map<string, IssuedToken>>();

function getIssuedTokens(sim: Simulation): Map<string, IssuedToken> {
  const known = issued.get(sim) ?? new Map<string, IssuedToken>();
  issued.set(sim, known);
  return known;
}

/** A short hash by which a log may name a token. */
export function fingerprintToken(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}

/**
 * Creates an installation's token, valid for an hour.
 *
 * @throws ApiError 403 where the installation is suspended; 422 for permissions that the App doesn't have
 */
export function issueToken(
  sim: Simulation,
  installation: { app: GithubApp; account: Account; id: number },
  requested: Permissions | undefined,
) {
  const { app, account, id } = installation;
  if (app.suspended) throw createSuspendedError();
  const granted = app.permissions;
  for (const [name, level] of Object.entries(requested ?? {})) {
    if (granted[name] !== 'write' && granted[name] !== level) {
      throw invalid('The permissions requested are not granted to this installation.');
    }
  }
  const token = `ghs_${randomBytes(27).toString('base64url').replaceAll(/[-_]/g, '0')}`;
  const permissions = requested ?? granted;
  const expiresAt = Date.now() + 3_600_000;
  getIssuedTokens(sim).set(token, { app, installationId: id, account, permissions: { ...permissions }, expiresAt });
  return { token, permissions, expiresAt };
}

/** Makes a token invalid before its hour is over. */
export function revokeToken(sim: Simulation, token: string): void {
  getIssuedTokens(sim).delete(token);
}

/** Finds out by the authorization header who makes a request. @throws ApiError 401 */
export function authenticate(sim: Simulation, authorization: string | undefined): Actor {
  if (authorization === undefined) throw new ApiError(401, 'Requires authentication');
  const credential = parseCredential(authorization);
  if (credential.split('.').length === 3) return authenticateApp(sim, credential);
  if (sim.tokens.has(credential)) {
    return { kind: 'token', token: credential, fingerprint: fingerprintToken(credential) };
  }
  const token = getIssuedTokens(sim).get(credential);
  if (!token || token.expiresAt <= Date.now()) throw new ApiError(401, 'Bad credentials');
  const { app, account, installationId } = token;
  if (app.suspended) throw createSuspendedError();
  // What the App has lost meanwhile, its tokens have lost too.
  const permissions = Object.fromEntries(
    Object.entries(token.permissions).flatMap(([name, level]) => {
      const now = app.permissions[name];
      return now === undefined ? [] : [[name, now === 'write' ? level : now]];
    }),
  );
  return { kind: 'installation', app, account, installationId, permissions, token: credential };
}

/** The answer to all calls of a suspended installation. */
export const createSuspendedError = (): ApiError => new ApiError(403, 'This installation has been suspended');

/** The answer to a call without the permission that it needs. */
export const createForbiddenError = (): ApiError => new ApiError(403, 'Resource not accessible by integration');

function parseCredential(authorization: string): string {
  const [scheme = '', value = ''] = authorization.split(/\s+/);
  if (scheme.toLowerCase() !== 'basic') return value;
  // With basic authentication the token is the password.
  return Buffer.from(value, 'base64').toString('utf8').split(':').slice(1).join(':');
}

function authenticateApp(sim: Simulation, jwt: string): Actor {
  const undecodable = new ApiError(401, 'A JSON web token could not be decoded');
  const [head, body, signature = ''] = jwt.split('.');
  let parsed: z.infer<typeof claims>;
  try {
    header.parse(decode(head));
    parsed = claims.parse(decode(body));
  } catch {
    throw undecodable;
  }
  const app = [...sim.apps.values()].find(
    ({ id, clientId }) => String(parsed.iss) === String(id) || parsed.iss === clientId,
  );
  if (!app) throw sim.apps.size === 0 ? undecodable : new ApiError(404, 'Integration not found');
  const good = verify(
    'RSA-SHA256',
    Buffer.from(`${head}.${body}`),
    createPublicKey(app.publicKey),
    Buffer.from(signature, 'base64url'),
  );
  if (!good) throw undecodable;
  const now = Math.floor(Date.now() / 1000);
  if (parsed.exp <= now) {
    throw new ApiError(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time");
  }
  if (parsed.exp > now + 600) throw new ApiError(401, "'Expiration time' claim ('exp') is too far in the future");
  if (parsed.iat > now + 5) {
    throw new ApiError(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  return { kind: 'app', app };
}

/** Checks a permission: installation tokens have some, personal tokens have all. @throws ApiError 403 */
export function requirePermission(actor: Actor, permission: string, level: 'read' | 'write'): void {
  if (actor.kind === 'app') throw new ApiError(401, 'Bad credentials');
  if (actor.kind === 'token') return;
  const has = actor.permissions[permission];
  if (has !== 'write' && has !== level) throw createForbiddenError();
}
