/** Which variables of a job may leave the proxy. When in doubt, one stays: nobody needs it to run the job again. */

const PREFIXES = ['ACTIONS_', 'BATON_', 'RUNNER_TOKEN', 'INPUT_', 'STATE_'];
const NAME =
  /token|secret|passw|passphrase|pwd$|credential|private|auth|cookie|session|signature|cert|netrc|dsn|webhook|connection_?string|jdbc|_key(_|$)|^key$|api_?key|keystore|(^|_)pat(_|$)|(^|_)sas(_|$)/i;
/** Values that are secrets by their look, whatever they are called. */
const VALUES = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\./,
  /\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|AKIA|ASIA|AIza|npm_|dckr_pat_)[\w-]{10,}/,
  /\b[a-z][a-z\d+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i,
  /\b(bearer|basic)\s+[\w+/=.-]{16,}/i,
];
/** One variable, and all together, bytes. */
const MOST_BYTES = 32 * 1024;
const MOST_BYTES_IN_ALL = 160 * 1024;
const MOST_VARIABLES = 1000;

/**
 * The variables that may be told, in order of their names.
 *
 * @param more patterns of names that stay besides, `*` stands for any text
 */
export function selectShareable(env: NodeJS.ProcessEnv, more: readonly string[]): Record<string, string> {
  const patterns = more.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replaceAll(/[^\w]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join('.*')}$`, 'i');
  });
  const told: [string, string][] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined || name.length > 256 || PREFIXES.some((prefix) => name.toUpperCase().startsWith(prefix)))
      continue;
    if (NAME.test(name) || patterns.some((pattern) => pattern.test(name))) continue;
    if (VALUES.some((pattern) => pattern.test(value))) continue;
    // As JSON, where a control character takes six bytes.
    const size = Buffer.byteLength(JSON.stringify(name) + JSON.stringify(value));
    if (size > MOST_BYTES || bytes + size > MOST_BYTES_IN_ALL || told.length >= MOST_VARIABLES) continue;
    bytes += size;
    told.push([name, value]);
  }
  return Object.fromEntries(told);
}
