import type { Account, GithubApp } from '../state.ts';

export type Permissions = Record<string, string>;

/** Who makes a request. */
export type Actor =
  | { kind: 'app'; app: GithubApp }
  | {
      kind: 'installation';
      app: GithubApp;
      account: Account;
      installationId: number;
      permissions: Permissions;
      token: string;
    }
  | { kind: 'token'; token: string; fingerprint: string };
