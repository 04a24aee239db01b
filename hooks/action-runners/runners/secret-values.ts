/**
 * The values of these environment variables, to be masked, longest first. Of a value with several lines, also each
 * line.
 */
export function collectSecretValues(names: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const values = names.flatMap((name) => {
    const value = env[name]?.trim() ?? '';
    return [value, ...value.split('\n').map((line) => line.trim())];
  });
  // A value of one or two characters is no secret, and masking it would make the output unreadable.
  return [...new Set(values)].filter((value) => value.length >= 3).sort((a, b) => b.length - a.length);
}
