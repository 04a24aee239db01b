import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import Bottleneck from 'bottleneck';
import type { Logger } from '../../../contracts/lib/log.ts';
import { conditionalFetch } from './conditional-fetch.ts';
import { meteredFetch, MAX_WAIT_MS, type SharedBudget } from './metered-fetch.ts';

const Client = Octokit.plugin(retry, throttling);

export type GithubClient = InstanceType<typeof Client>;

/** An App is named by its id or its client id. */
export type GithubAuth = { app: { id: number | string; installation: number; privateKey: string } } | { token: string };

export interface GithubClientOptions {
  /** https://github.com, a GHES address, or https://SUBDOMAIN.ghe.com. */
  url: string;
  auth: GithubAuth;
  /** Each call first takes its points from this budget. */
  budget?: SharedBudget;
  log: Logger;
}

/** Replaces the plugin's limit of one write per second; the budget limits the writes per minute. */
const MAX_CONCURRENT_WRITES = 10;

/**
 * The REST endpoint of a GitHub instance by its web address.
 * Source: https://docs.github.com/en/rest/overview (github.com, GHES `/api/v3`, `api.SUBDOMAIN.ghe.com`)
 */
export function toApiUrl(url: string): string {
  const { protocol, host, origin } = new URL(url);
  if (host === 'github.com') return 'https://api.github.com';
  if (host.endsWith('.ghe.com')) return `${protocol}//api.${host}`;
  return `${origin}/api/v3`;
}

/**
 * An Octokit that authenticates as the App's installation or by token, waits for rate limits, and retries failed calls.
 */
export function createGithubClient(options: GithubClientOptions): GithubClient {
  const { auth, log } = options;
  const authentication =
    'app' in auth
      ? {
          authStrategy: createAppAuth,
          auth: { appId: auth.app.id, privateKey: auth.app.privateKey, installationId: auth.app.installation },
        }
      : { auth: auth.token };
  const wait = (kind: string) => (retryAfter: number, request: { method: string; url: string }) => {
    const repeat = retryAfter * 1000 <= MAX_WAIT_MS;
    log.warn({ kind, retryAfter, method: request.method, url: request.url, repeat }, 'GitHub asked to wait');
    return repeat;
  };
  return new Client({
    ...authentication,
    baseUrl: toApiUrl(options.url),
    userAgent: 'baton',
    request: { fetch: conditionalFetch(options.budget === undefined ? fetch : meteredFetch(options.budget)) },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    retry: { retries: 2 },
    throttle: {
      write: new Bottleneck.Group({ maxConcurrent: MAX_CONCURRENT_WRITES }),
      onRateLimit: wait('primary rate limit'),
      onSecondaryRateLimit: wait('secondary rate limit'),
    },
  });
}
