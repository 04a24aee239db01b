/**
 * Decides which variables of a job may leave the proxy: those that the forge's runner sets, and those that the proxy's administrator
 * names. No list of secret names can be complete, so that it is only a second sieve. Running the job again needs none of them.
 */

/** Those of the forge's runner; `*` matches any text. */
const SHARED = ['GITHUB_*', 'RUNNER_*', 'CI'];

const SECRET_PREFIXES = ['ACTIONS_', 'BATON_', 'RUNNER_TOKEN', 'INPUT_', 'STATE_'];
const SECRET_NAME =
  /token|secret|passw|passphrase|pwd$|credential|private|auth|cookie|session|signature|cert|netrc|dsn|webhook|connection_?string|jdbc|_key(_|$)|^key$|api_?key|keystore|(^|_)pat(_|$)|(^|_)sas(_|$)/i;
/** Values that look like secrets, whatever their names. */
const SECRET_VALUES = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\./,
  /\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|AKIA|ASIA|AIza|npm_|dckr_pat_)[\w-]{10,}/,
  /\b[a-z][a-z\d+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i,
  /\b(bearer|basic)\s+[\w+/=.-]{16,}/i,
];
/** Limits, bytes as JSON. */
const MAX_VARIABLE_BYTES = 32 * 1024;
const MAX_TOTAL_BYTES = 160 * 1024;
const MAX_VARIABLES = 1000;

/**
 * Selects the variables that may leave the proxy, sorted by name.
 *
 * @param share patterns of names that may leave it too; `*` matches any text
 */
export function selectShareable(env: NodeJS.ProcessEnv, share: readonly string[]): Record<string, string> {
  const patterns = [...SHARED, ...share].map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replaceAll(/[^\w]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join('.*')}$`);
  });
  const selected: [string, string][] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (
      value === undefined ||
      name.length > 256 ||
      SECRET_PREFIXES.some((prefix) => name.toUpperCase().startsWith(prefix))
    )
      continue;
    if (SECRET_NAME.test(name) || !patterns.some((pattern) => pattern.test(name))) continue;
    if (SECRET_VALUES.some((pattern) => pattern.test(value))) continue;
    // As JSON, in which a control character takes six bytes.
    const size = Buffer.byteLength(JSON.stringify(name) + JSON.stringify(value));
    if (size > MAX_VARIABLE_BYTES || bytes + size > MAX_TOTAL_BYTES || selected.length >= MAX_VARIABLES) continue;
    bytes += size;
    selected.push([name, value]);
  }
  return Object.fromEntries(selected);
}
