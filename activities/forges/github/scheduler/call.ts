/**
 * From most to least urgent: a machine waits for a registration or for a re-run; a removal, or a proxy's labels; a look at the
 * state.
 */
export const PRIORITIES = ['registration', 'removal', 'background'] as const;

export type Priority = (typeof PRIORITIES)[number];

/** What limits a call to GitHub. */
export interface ForgeCall {
  priority: Priority;
  /** As GitHub counts for its secondary limit: a read costs 1, a change 5. */
  cost: number;
  /** Who calls: GitHub counts an App's own calls (with its JWT) and those of its installation separately. */
  actor: 'installation' | 'app';
  /** The scope that a registration counts against: `acme` or `acme/web`, in lower case. */
  registers?: string | undefined;
}

/** What a registration costs without its scope: for the outlook and for choosing among Apps. */
export const REGISTRATION_COST = 5;

/**
 * What a call costs and how urgent it is, by its method and path.
 *
 * @param path with its query: one runner, looked up by name, is about to be removed; a list of all runners is only a look
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#calculating-points-for-the-secondary-rate-limit
 */
export function classifyCall(method: string, path: string): ForgeCall {
  const [pathname = '', query] = path.split('?');
  const cost = isRead(method) ? 1 : REGISTRATION_COST;
  const actor = /\/app(\/|$)/.test(pathname) && !/\/(repos|orgs)\//.test(pathname) ? 'app' : 'installation';
  const scope = /\/(?:orgs|repos)\/([^/]+(?:\/[^/]+)?)\/actions\/runners\/generate-jitconfig$/.exec(pathname)?.[1];
  const registers = scope === undefined ? undefined : decodeURIComponent(scope).toLowerCase();
  return {
    cost,
    actor,
    priority: findPriority(pathname, new URLSearchParams(query)),
    ...(registers === undefined ? {} : { registers }),
  };
}

/** Whether a call changes nothing: it can be sent again, and nobody misses its answer. */
export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Whether sending a call twice has the same effect as sending it once. */
export function isRepeatable(method: string): boolean {
  return isRead(method) || method === 'DELETE' || method === 'PUT';
}

function findPriority(path: string, query: URLSearchParams): Priority {
  if (/\/generate-jitconfig$|\/access_tokens$|\/runner-groups$/.test(path)) return 'registration';
  // A delegation's runner already waits for the re-run.
  if (/\/actions\/jobs\/\d+\/rerun$/.test(path)) return 'registration';
  // Many proxies' labels must not keep machines from their registrations.
  if (/\/actions\/runners\/\d+(\/labels)?$/.test(path)) return 'removal';
  if (path.endsWith('/actions/runners') && query.has('name')) return 'removal';
  return 'background';
}
