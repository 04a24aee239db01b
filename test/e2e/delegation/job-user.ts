import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Puts the fake runner into its folder as GitHub's listener too; later proxies copy that. @returns removes it there */
export function installListener(runner: string): () => void {
  const listener = join(runner, 'bin', 'Runner.Listener');
  mkdirSync(dirname(listener), { recursive: true });
  const start = 'exec -a "$0" "$BATON_NODE" "$(dirname "$0")/../runner.mjs" "$@"';
  writeFileSync(listener, `#!/bin/bash\n${start}\n`, { mode: 0o755 });
  return () => rmSync(dirname(listener), { recursive: true });
}

/** Runs a script as that user. @returns what it printed */
export function runAsUser(uid: number, script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/bin:/bin', NODE: process.execPath };
    const child = spawn('/bin/bash', ['-c', script], { uid, gid: uid, cwd: '/', env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
}
