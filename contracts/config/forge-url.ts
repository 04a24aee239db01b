/**
 * Why an address is not that of a forge's web pages, and what to write instead; undefined where it is fine.
 *
 * @param text a valid http or https URL
 */
export function findForgeUrlProblem(text: string): string | undefined {
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return 'must contain no user or password: Baton signs in with app, apps or token';
  }
  const web = toWebOrigin(url);
  if (web !== url.origin || /^\/api(\/|$)/.test(url.pathname)) {
    return url.hostname.startsWith('www.') || url.protocol === 'http:'
      ? `write the address without redirects: ${web}`
      : `this is the address of the API, which Baton finds by itself; write ${web}`;
  }
  if (url.pathname === '/' && url.search === '' && url.hash === '') return undefined;
  const organization = /^\/([\w-]+)/.exec(url.pathname)?.[1];
  const advice =
    organization === undefined ? '' : `; an organisation belongs in its groups: \`organization: ${organization}\``;
  return `must be the forge’s address alone, without a path; write ${web}${advice}`;
}

/** Scheme, host and port of the web pages of GitHub, *.ghe.com or a GHES, from any of its addresses. */
function toWebOrigin({ protocol, hostname, host }: URL): string {
  if (['github.com', 'www.github.com', 'api.github.com'].includes(hostname)) return 'https://github.com';
  if (hostname.endsWith('.ghe.com')) return `https://${hostname.replace(/^(api|www)\./, '')}`;
  return `${protocol}//${host}`;
}
