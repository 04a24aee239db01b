import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { conditionalFetch } from './conditional-fetch.ts';
import { scheduleFetch } from './scheduler/schedule-fetch.ts';
import type { CallScheduler } from './scheduler/scheduler.ts';

export type GithubClient = Octokit;

/** An App is named by its id or its client id. */
export type GithubAuth = { app: { id: number | string; installation: number; privateKey: string } } | { token: string };

export interface GithubClientOptions {
  /** https://github.com, a GHES address, or https://SUBDOMAIN.ghe.com. */
  url: string;
  auth: GithubAuth;
  /** Decides when each call is sent, and whether it is sent again. Without one, calls are sent at once, and once. */
  scheduler?: CallScheduler;
}

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

/** An Octokit that authenticates as the App's installation or by token, and sends its calls when the scheduler lets them. */
export function createGithubClient({ url, auth, scheduler }: GithubClientOptions): GithubClient {
  const authentication =
    'app' in auth
      ? {
          authStrategy: createAppAuth,
          auth: { appId: auth.app.id, privateKey: auth.app.privateKey, installationId: auth.app.installation },
        }
      : { auth: auth.token };
  return new Octokit({
    ...authentication,
    baseUrl: toApiUrl(url),
    userAgent: 'baton',
    request: { fetch: conditionalFetch(scheduler === undefined ? fetch : scheduleFetch(scheduler)) },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  });
}
