/** The values of these environment variables, for masking, longest first; of those with several lines, each line. */
export function collectSecretValues(names: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const values = names.flatMap((name) => {
    const value = env[name]?.trim() ?? '';
    return [value, ...value.split('\n').map((line) => line.trim())];
  });
  // One of two letters would make the output unreadable, and is no secret.
  return [...new Set(values)].filter((value) => value.length >= 3).sort((a, b) => b.length - a.length);
}
