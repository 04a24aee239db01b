/** GitHub's JIT config: base64 of `{fileName: base64 of its content}`. Any other shape has only itself as a secret. */
function parseFiles(jitConfig: string): [name: string, content: string][] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(jitConfig, 'base64').toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null) return [];
    return Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  } catch {
    return [];
  }
}

function collectStrings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(collectStrings) : [];
}

/**
 * All texts that must not be printed: the JIT config, its parts, the values in its credentials, and the NATS
 * credential.
 */
export function collectRegistrationSecrets(jitConfig: string, natsCredentials: string): string[] {
  const secrets = [jitConfig];
  for (const [name, content] of parseFiles(jitConfig)) {
    secrets.push(content);
    if (!/credential/i.test(name)) continue;
    try {
      const text = Buffer.from(content, 'base64').toString('utf8');
      secrets.push(text, ...collectStrings(JSON.parse(text)));
    } catch {
      // Its content is not JSON: the encoded form is masked already.
    }
  }
  secrets.push(...natsCredentials.split('\n').filter((line) => /^[\w.-]+$/.test(line) && !line.startsWith('-')));
  // Short texts (the name of a scheme, `true`) are no secrets, and masking them would make the output unreadable.
  // Longest first: masking a secret that is part of a longer one would leave the rest of the longer one readable.
  return [...new Set(secrets.map((text) => text.trim()))]
    .filter((text) => text.length >= 16)
    .sort((a, b) => b.length - a.length);
}
