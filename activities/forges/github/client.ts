import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import Bottleneck from 'bottleneck';
import type { Logger } from '../../../contracts/log.ts';

const Client = Octokit.plugin(retry, throttling);

export type GithubClient = InstanceType<typeof Client>;

export type GithubAuth = { app: { id: number; installation: number; privateKey: string } } | { token: string };

export interface GithubClientOptions {
  /** https://github.com, a GHES address, or https://SUBDOMAIN.ghe.com. */
  url: string;
  auth: GithubAuth;
  log: Logger;
}

/** A wait longer than this is the caller's to plan (a workflow's timer is durable, a process's is not). */
const LONGEST_WAIT_S = 60;

/**
 * What changes something costs 5 of the 900 points a minute that GitHub grants. So many at once after a pause, and so many a
 * second from then on, stay below that; the plugin's own pace, one a second, would let a burst of 50 jobs wait for a minute.
 * Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
const WRITES = { burst: 60, perSecond: 2, atOnce: 10 };

/**
 * The REST endpoint of a GitHub by its web address.
 * Source: https://docs.github.com/en/rest/overview (github.com, GHES `/api/v3`, `api.SUBDOMAIN.ghe.com`)
 */
export function apiUrl(url: string): string {
  const { protocol, host, origin } = new URL(url);
  if (host === 'github.com') return 'https://api.github.com';
  if (host.endsWith('.ghe.com')) return `${protocol}//api.${host}`;
  return `${origin}/api/v3`;
}

/** An Octokit that authenticates as the App's installation or by token, waits out rate limits, and repeats what failed. */
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
    const repeat = retryAfter <= LONGEST_WAIT_S;
    log.warn({ kind, retryAfter, method: request.method, url: request.url, repeat }, 'the forge asks to wait');
    return repeat;
  };
  return new Client({
    ...authentication,
    baseUrl: apiUrl(options.url),
    userAgent: 'baton',
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    retry: { retries: 2 },
    throttle: {
      write: new Bottleneck.Group({
        maxConcurrent: WRITES.atOnce,
        reservoir: WRITES.burst,
        reservoirIncreaseInterval: 1000,
        reservoirIncreaseAmount: WRITES.perSecond,
        reservoirIncreaseMaximum: WRITES.burst,
      }),
      onRateLimit: wait('primary rate limit'),
      onSecondaryRateLimit: wait('secondary rate limit'),
    },
  });
}
