import type { GithubClient } from './client.ts';

export const PER_PAGE = 100;

/** Reading stops after this many pages: 10,000 items. */
const MAX_PAGES = 100;

/**
 * Reads a list page by page and yields the body of each. It follows the `link` header, which works for page numbers and
 * for cursors.
 *
 * @param route `GET /…` with its parameters in braces
 * @see https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
export async function* readPages(
  client: GithubClient,
  route: string,
  parameters: Record<string, unknown> = {},
  signal?: AbortSignal,
): AsyncGenerator {
  const request = { signal };
  let answer = await client.request(route, { per_page: PER_PAGE, ...parameters, request });
  for (let page = 1; ; page++) {
    yield answer.data;
    const next = findNextPage(answer.headers.link);
    if (next === undefined || page >= MAX_PAGES) return;
    answer = await client.request(`GET ${next}`, { request });
  }
}

/** The address of the next page in a `link` header; undefined on the last page. */
export function findNextPage(link: string | undefined): string | undefined {
  return /<([^>]+)>;\s*rel="next"/.exec(link ?? '')?.[1];
}
