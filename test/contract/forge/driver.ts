import { Octokit } from '@octokit/core';
import { z } from 'zod';
import type { Description } from './description.ts';

const violations = z.array(z.object({ message: z.string() }));
const outcome = z.object({
  status: z.number(),
  response: z.object({
    headers: z.looseObject({ 'sl-violations': z.string().optional(), 'x-github-request-id': z.string().optional() }),
    data: z.unknown(),
  }),
});

const UNLISTED = 'Unable to match the returned status code';
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** An Octokit at that address that keeps quiet about the errors it is meant to get. */
export function quietOctokit(baseUrl: string, auth?: string): Octokit {
  return new Octokit({ baseUrl, log: SILENT, ...(auth === undefined ? {} : { auth }) });
}

/** Calls GitHub's endpoints through Prism and keeps note of what was wrong. */
export class Driver {
  /** One line for everything that isn't as expected or as GitHub describes it. */
  readonly problems: string[] = [];
  /** `GET /orgs/{}/…`: what was called. */
  readonly driven = new Set<string>();
  token = '';
  readonly #url: string;
  readonly #description: Description;

  constructor(url: string, description: Description) {
    this.#url = url;
    this.#description = description;
  }

  /** @returns the answer's body, not yet trusted */
  async call(
    status: number,
    route: string,
    parameters: Record<string, unknown> = {},
    auth = this.token,
  ): Promise<unknown> {
    this.drove(route);
    const answer = await quietOctokit(this.#url, auth)
      .request(route, parameters)
      .then((response) => outcome.parse({ status: response.status, response }))
      .catch((error: unknown) => outcome.parse(error));
    const { headers, data } = answer.response;
    const found = violations.parse(JSON.parse(headers['sl-violations'] ?? '[]')).map(({ message }) => message);
    // GitHub's description lists only some of an endpoint's errors; the body of the others is checked here.
    const wrong = status < 400 ? found : found.filter((message) => !message.startsWith(UNLISTED));
    if (answer.status !== status) wrong.push(`answered ${answer.status} instead of ${status}: ${JSON.stringify(data)}`);
    else if (status >= 400) wrong.push(...this.#description.problems(errorSchema(status), data));
    if (headers['x-github-request-id'] === undefined) wrong.push('has no x-github-request-id');
    this.problems.push(...wrong.map((problem) => `${route}: ${problem}`));
    return data;
  }

  /** Notes an endpoint as called. */
  drove(route: string): void {
    this.driven.add(route.replaceAll(/\{\w+\}/g, '{}'));
  }
}

const errorSchema = (status: number): string => (status === 422 ? 'validation-error-simple' : 'basic-error');
