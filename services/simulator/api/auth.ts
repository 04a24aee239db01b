import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { z } from 'zod';
import type { Account } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { ApiError, invalid } from './errors.ts';

export type Permissions = Record<string, string>;

/** Who makes a request. */
export type Actor =
  | { kind: 'app'; appId: number }
  | { kind: 'installation'; account: Account; permissions: Permissions; token: string }
  | { kind: 'token'; token: string };

const header = z.object({ alg: z.literal('RS256') });
const claims = z.object({
  iss: z.union([z.string(), z.number()]),
  iat: z.number(),
  exp: z.number(),
});

const decode = (part: string | undefined): unknown =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as unknown;

interface IssuedToken {
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

/** Creates an installation's token, valid for an hour. @throws ApiError 422 for permissions that the App doesn't have */
export function issueToken(sim: Simulation, account: Account, requested: Permissions | undefined) {
  const granted = sim.app?.permissions ?? {};
  for (const [name, level] of Object.entries(requested ?? {})) {
    if (granted[name] !== 'write' && granted[name] !== level) {
      throw invalid('The permissions requested are not granted to this installation.');
    }
  }
  const token = `ghs_${randomBytes(27).toString('base64url').replaceAll(/[-_]/g, '0')}`;
  const permissions = requested ?? granted;
  const expiresAt = Date.now() + 3_600_000;
  getIssuedTokens(sim).set(token, { account, permissions, expiresAt });
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
  if (sim.tokens.has(credential)) return { kind: 'token', token: credential };
  const token = getIssuedTokens(sim).get(credential);
  if (!token || token.expiresAt <= Date.now()) throw new ApiError(401, 'Bad credentials');
  return { kind: 'installation', account: token.account, permissions: token.permissions, token: credential };
}

function parseCredential(authorization: string): string {
  const [scheme = '', value = ''] = authorization.split(/\s+/);
  if (scheme.toLowerCase() !== 'basic') return value;
  // With basic authentication the token is the password.
  return Buffer.from(value, 'base64').toString('utf8').split(':').slice(1).join(':');
}

function authenticateApp(sim: Simulation, jwt: string): Actor {
  const undecodable = new ApiError(401, 'A JSON web token could not be decoded');
  const [head, body, signature = ''] = jwt.split('.');
  if (!sim.app) throw undecodable;
  let parsed: z.infer<typeof claims>;
  try {
    header.parse(decode(head));
    parsed = claims.parse(decode(body));
  } catch {
    throw undecodable;
  }
  const good = verify(
    'RSA-SHA256',
    Buffer.from(`${head}.${body}`),
    createPublicKey(sim.app.publicKey),
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
  const clientId = `Iv23li${String(sim.app.id).padStart(14, '0')}`;
  if (String(parsed.iss) !== String(sim.app.id) && parsed.iss !== clientId) {
    throw new ApiError(404, 'Integration not found');
  }
  return { kind: 'app', appId: sim.app.id };
}

/** Checks a permission: installation tokens have some, personal tokens have all. @throws ApiError 403 */
export function requirePermission(actor: Actor, permission: string, level: 'read' | 'write'): void {
  if (actor.kind === 'app') throw new ApiError(401, 'Bad credentials');
  if (actor.kind === 'token') return;
  const has = actor.permissions[permission];
  if (has !== 'write' && has !== level) throw new ApiError(403, 'Resource not accessible by integration');
}
