/** What stands in the file in place of the smallest: whole lines, indented as their place wants. */
export interface ConfigParts {
  top?: string;
  forge?: string;
  webhook?: string;
  backend?: string;
  group?: string;
}

/** The smallest complete file: forge at line 2, webhook at 4, the backend at 8, the group at 10 and what it adds at 14. */
export function aConfigFile(parts: ConfigParts = {}): string {
  return [
    parts.top ?? '# top',
    'forge:',
    parts.forge ?? '  token: ${TOKEN}',
    'webhook:',
    parts.webhook ?? '  secrets: ["${SECRET}"]',
    'backends:',
    '  here:',
    parts.backend ?? '    type: local',
    'groups:',
    '  - name: linux',
    '    organization: acme',
    '    labels: [linux]',
    '    backend: here',
    parts.group ?? '    # group',
    '',
  ].join('\n');
}
