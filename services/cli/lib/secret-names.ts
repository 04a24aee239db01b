/** The environment variables from which a configuration, or a part of one, takes its secrets. */
export function findSecretNames(part: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const entries = Object.entries(value);
    if (entries.length === 1 && entries[0]?.[0] === 'env' && typeof entries[0][1] === 'string')
      names.add(entries[0][1]);
    else for (const [, child] of entries) visit(child);
  };
  visit(part);
  return names;
}
