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

/** An Octokit for that address that logs nothing: the tests provoke errors. */
export function quietOctokit(baseUrl: string, auth?: string): Octokit {
  return new Octokit({ baseUrl, log: SILENT, ...(auth === undefined ? {} : { auth }) });
}

/** Calls GitHub's endpoints through Prism and collects what is wrong with the answers. */
export class Driver {
  /** One line for each difference from what the test expects or GitHub describes. */
  readonly problems: string[] = [];
  /** The called endpoints: `GET /orgs/{}/…`. */
  readonly driven = new Set<string>();
  token = '';
  readonly #url: string;
  readonly #description: Description;

  constructor(url: string, description: Description) {
    this.#url = url;
    this.#description = description;
  }

  /** @returns the answer's body, unparsed */
  async call(
    status: number,
    route: string,
    parameters: Record<string, unknown> = {},
    auth = this.token,
  ): Promise<unknown> {
    this.noteCall(route);
    const answer = await quietOctokit(this.#url, auth)
      .request(route, parameters)
      .then((response) => outcome.parse({ status: response.status, response }))
      .catch((error: unknown) => outcome.parse(error));
    const { headers, data } = answer.response;
    const found = violations.parse(JSON.parse(headers['sl-violations'] ?? '[]')).map(({ message }) => message);
    // GitHub's description lists only some errors of an endpoint; the bodies of the others are checked here.
    const wrong = status < 400 ? found : found.filter((message) => !message.startsWith(UNLISTED));
    if (answer.status !== status) wrong.push(`answered ${answer.status} instead of ${status}: ${JSON.stringify(data)}`);
    else if (status >= 400) wrong.push(...this.#description.problems(errorSchema(status), data));
    if (headers['x-github-request-id'] === undefined) wrong.push('has no x-github-request-id');
    this.problems.push(...wrong.map((problem) => `${route}: ${problem}`));
    return data;
  }

  /** Notes that an endpoint was called. */
  noteCall(route: string): void {
    this.driven.add(route.replaceAll(/\{\w+\}/g, '{}'));
  }
}

const errorSchema = (status: number): string => (status === 422 ? 'validation-error-simple' : 'basic-error');
