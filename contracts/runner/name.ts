/** Names of managers and groups: what DNS, containers, NATS subjects and cloud labels all accept. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const SUFFIX = /^[a-z0-9]{8}$/;

/**
 * A runner's name: `<manager>-<group>-<8 characters>`, at most 63 characters (GCE's limit), also the name of its
 * instance and of its registration, so that an orphan can be told by name alone.
 *
 * @param random at least 8 characters of [a-z0-9-], e.g. a UUID
 */
export function runnerName(manager: string, group: string, random: string): string {
  const suffix = random
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 8);
  return `${manager}-${group}-${suffix}`;
}

/** The group of a runner of this manager, or undefined when the name is not one of ours. */
export function groupOfRunner(manager: string, name: string): string | undefined {
  if (!name.startsWith(`${manager}-`)) return undefined;
  const rest = name.slice(manager.length + 1);
  const cut = rest.lastIndexOf('-');
  if (cut < 1 || !SUFFIX.test(rest.slice(cut + 1))) return undefined;
  const group = rest.slice(0, cut);
  return NAME_PATTERN.test(group) ? group : undefined;
}
