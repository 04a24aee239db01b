import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * As GitHub's own run.sh: it restarts the listener on exit code 2, and exits with 0 in every other case. It passes signals on only
 * with RUNNER_MANUALLY_TRAP_SIG set; without it, a signal must go to the whole process group.
 */
const RUN_SH = `#!/bin/sh
# Starts the fake runner. BATON_NODE is the Node to use (default: node on PATH).
here=$(cd "$(dirname "$0")" && pwd)
node=\${BATON_NODE:-node}

finish() {
  if [ "$1" -eq 2 ]; then
    echo 'Restarting runner...'
    sleep 1
  else
    echo 'Exiting runner...'
    exit 0
  fi
}

if [ -z "$RUNNER_MANUALLY_TRAP_SIG" ]; then
  while :; do
    "$node" "$here/runner.mjs" "$@"
    finish $?
  done
else
  while :; do
    "$node" "$here/runner.mjs" "$@" &
    child=$!
    trap 'kill -TERM $child' INT TERM
    wait $child
    code=$?
    # A signal ends the wait before the runner has ended.
    while kill -0 $child 2>/dev/null; do
      wait $child
      code=$?
    done
    trap - INT TERM
    finish $code
  done
fi
`;

/** `config.sh --url … --token … --name … --labels … --unattended --replace` registers a runner that isn't ephemeral. */
const CONFIG_SH = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
exec "\${BATON_NODE:-node}" "$here/runner.mjs" configure "$@"
`;

/** Writes `run.sh`, `config.sh` and `runner.mjs` to a folder, the forge's runner directory of an instance. */
export async function bundleFakeRunner(outDir: string): Promise<void> {
  mkdirSync(outDir, { recursive: true });
  await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    outfile: join(outDir, 'runner.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifySyntax: true,
    logLevel: 'warning',
  });
  for (const [name, content] of [
    ['run.sh', RUN_SH],
    ['config.sh', CONFIG_SH],
  ] as const) {
    writeFileSync(join(outDir, name), content);
    chmodSync(join(outDir, name), 0o755);
  }
}

// As a program: `node services/simulator/runner/bundle.ts FOLDER`.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node services/simulator/runner/bundle.ts FOLDER');
  await bundleFakeRunner(folder);
}
