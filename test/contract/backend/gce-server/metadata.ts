import { randomUUID } from 'node:crypto';

const PREFIX = '/computeMetadata/v1/';

/**
 * The metadata service of the machine that an installation runs on: Google's library gets its credential from it
 * (GCE_METADATA_HOST). Tests can revoke its tokens.
 */
export class MetadataService {
  #token = `ya29.${randomUUID()}`;
  #refusing = false;
  readonly project: string;

  constructor(project: string) {
    this.project = project;
  }

  /** Undefined where there is no such path. */
  answer(path: string): { type: string; body: string } | undefined {
    const text = (body: string): { type: string; body: string } => ({ type: 'application/text', body });
    switch (path.split('?')[0]) {
      case '/':
      case '/computeMetadata/v1/instance':
        return text('instance/\n');
      case `${PREFIX}project/project-id`:
        return text(this.project);
      case `${PREFIX}universe/universe-domain`:
      case `${PREFIX}universe/universe_domain`:
        return text('googleapis.com');
      case `${PREFIX}instance/service-accounts/default/token`: {
        const body = JSON.stringify({ access_token: this.#token, expires_in: 3599, token_type: 'Bearer' });
        return { type: 'application/json', body };
      }
      default:
        return undefined;
    }
  }

  accepts(authorization: string | undefined): boolean {
    return !this.#refusing && authorization === `Bearer ${this.#token}`;
  }

  /** Revokes all tokens; new ones are valid, unless `forGood`. */
  expire({ forGood = false } = {}): void {
    this.#token = `ya29.${randomUUID()}`;
    this.#refusing = forGood;
  }

  renew(): void {
    this.#refusing = false;
  }
}
