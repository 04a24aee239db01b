import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { pack } from 'tar-stream';
import { z } from 'zod';
import type { AgentBundle, AgentFile } from '../../contracts/messages/bootstrap-file.ts';

const HOOKS = fileURLToPath(new URL('../../hooks/', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../package.json', import.meta.url));

const PROGRAMS = {
  'agent.mjs': 'agent/main.ts',
  'signal.mjs': 'job-hooks/signal/main.ts',
  'hooks.mjs': 'job-hooks/hooks.ts',
  'built-in.mjs': 'job-hooks/built-in/main.ts',
} as const;

const SCRIPTS = [
  'start.sh',
  ...['find-node', 'job-started', 'job-completed'].flatMap((name) => [`${name}.sh`, `${name}.ps1`]),
];

/** CommonJS libraries load Node's own modules with `require`, which an ES module doesn't have. */
const REQUIRE = `import { createRequire as batonRequire } from 'node:module'; const require = batonRequire(import.meta.url);`;

/** Zod's messages in fifty languages are a third of the bundle; the agent needs only English. */
const ENGLISH_ONLY: Plugin = {
  name: 'english-only',
  setup(build) {
    build.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.c?js$/ }, () => {
      return { contents: `export { default as en } from './en.js';`, loader: 'js' };
    });
  },
};

let bundle: Promise<AgentBundle> | undefined;

/**
 * All that runs inside an instance, bundled from hooks/ by esbuild: single `.mjs` files that need only Node.js ≥ 20, and the
 * scripts that start them. Bundled once per process, in well under a second.
 */
export function bundleAgent(): Promise<AgentBundle> {
  bundle ??= createBundle();
  return bundle;
}

async function createBundle(): Promise<AgentBundle> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(await readFile(PACKAGE, 'utf8')));
  const programs = await Promise.all(
    Object.entries(PROGRAMS).map(([name, entry]) => bundleProgram(name, entry, version)),
  );
  const scripts = await Promise.all(
    SCRIPTS.map(async (name): Promise<AgentFile> => {
      return { name, content: await readFile(`${HOOKS}job-hooks/scripts/${name}`), executable: true };
    }),
  );
  const files = [...programs, ...scripts];
  const archive = await packFiles(files);
  return { files, archive, hash: createHash('sha256').update(archive).digest('hex') };
}

async function packFiles(files: readonly AgentFile[]): Promise<Buffer> {
  const archive = pack();
  const content = buffer(archive);
  for (const { name, content: bytes, executable } of files) {
    archive.entry({ name, mode: executable ? 0o755 : 0o644, mtime: new Date(0) }, bytes);
  }
  archive.finalize();
  return content;
}

async function bundleProgram(name: string, entry: string, version: string): Promise<AgentFile> {
  const result = await build({
    entryPoints: [`${HOOKS}${entry}`],
    outfile: name,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minify: true,
    // So that stack traces from instances name our functions.
    keepNames: name === 'agent.mjs',
    legalComments: 'none',
    banner: name === 'signal.mjs' ? {} : { js: REQUIRE },
    define: { BATON_AGENT_VERSION: JSON.stringify(version) },
    plugins: [ENGLISH_ONLY],
    logLevel: 'silent',
  });
  const output = result.outputFiles?.[0];
  if (output === undefined) throw new Error(`bundling ${entry}: esbuild returned no file`);
  return { name, content: Buffer.from(output.contents), executable: false };
}
