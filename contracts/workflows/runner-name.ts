/** Names of installations and groups: what DNS, containers, NATS subjects and cloud labels all accept. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const SUFFIX = /^[a-z0-9]{8}$/;
const RANDOM_CHARACTERS = 7;

/**
 * A runner's name: `<installation>-<group>-<8 characters>`, at most 63 characters (GCE's limit), also the name of its
 * instance and of its registration, so that an orphan is recognised by its name alone. The first of the eight characters encodes
 * the length of the installation's name: installation `a` with group `b-c` and `a-b` with `c` get different names.
 *
 * @param random a UUID, or anything else with at least 12 hexadecimal digits
 */
export function createRunnerName(installation: string, group: string, random: string): string {
  const digits = Number.parseInt(random.replaceAll(/[^\da-f]/gi, '').slice(0, 12), 16);
  const suffix = digits.toString(36).padStart(RANDOM_CHARACTERS, '0').slice(-RANDOM_CHARACTERS);
  return `${installation}-${group}-${encodeLength(installation)}${suffix}`;
}

/** The group in the name of a runner of this installation; undefined for other names. */
export function parseGroupFromRunnerName(installation: string, name: string): string | undefined {
  if (!name.startsWith(`${installation}-`)) return undefined;
  const rest = name.slice(installation.length + 1);
  const cut = rest.lastIndexOf('-');
  if (cut < 1 || !SUFFIX.test(rest.slice(cut + 1))) return undefined;
  const group = rest.slice(0, cut);
  return NAME_PATTERN.test(group) ? group : undefined;
}

/** Whether this installation created a runner of that name for that group. Checked before anything is removed by name. */
export function isRunnerOfGroup(installation: string, group: string, name: string): boolean {
  return (
    parseGroupFromRunnerName(installation, name) === group &&
    name.at(-RANDOM_CHARACTERS - 1) === encodeLength(installation)
  );
}

/** The length of an installation's name, at most 20, as one character. */
function encodeLength(installation: string): string {
  return installation.length.toString(36).slice(-1);
}
