#!/usr/bin/env node
// The one entry point: `npm start`, `npm test`, `npm run bench`, `npm run chaos`, `baton …`. Plain JavaScript that any Node from 20 on runs before
// anything is installed: it installs what package-lock.json names, then starts the project's own Node.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireLock } from '../../contracts/lib/file-lock.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODULES = join(ROOT, 'node_modules');
const BIN = join(MODULES, '.bin');
const STAMP = join(MODULES, '.baton-installed');

const PROGRAMS = {
  start: (args) => ['services/cli/main.ts', 'start', ...args],
  bench: (args) => ['test/bench/main.ts', ...args],
  chaos: (args) => ['test/chaos/main.ts', ...args],
  'chaos:mutations': (args) => ['test/chaos/mutations/main.ts', ...args],
  baton: (args) => ['services/cli/main.ts', ...args],
  test: (args) => ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts', ...args],
};

async function main() {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    console.error(`Baton needs Node 20 or later to begin with; this is ${process.version} (${process.execPath}).`);
    return 1;
  }
  const [command = 'baton', ...args] = process.argv.slice(2);
  await ensureDependencies();
  if (command === 'install') return 0;
  // As an installed program (`baton status`), the first argument is the CLI's own.
  const program = PROGRAMS[command] ?? ((rest) => PROGRAMS.baton([command, ...rest]));
  const [file, ...rest] = program(args);
  return run([join(ROOT, file), ...rest], command === 'test' ? { cwd: ROOT } : {});
}

/** Makes node_modules what package-lock.json says; one process at a time, the others wait for it. */
async function ensureDependencies() {
  const wanted = stampText();
  if (isInstalled(wanted)) return;
  const lock = await acquireLock(join(ROOT, '.baton', 'install.lock'), {
    onWait: (pid) => console.error(`  waiting for another process${pid ? ` (${pid})` : ''} to install dependencies`),
  });
  try {
    if (isInstalled(wanted)) return;
    if (!treeMatches()) await npmCi();
    writeFileSync(STAMP, wanted);
  } finally {
    lock.release();
  }
}

function stampText() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'));
  const sum = createHash('sha256').update(lock).digest('hex');
  return `${sum} ${process.platform} ${process.arch}\n`;
}

function isInstalled(wanted) {
  try {
    return readFileSync(STAMP, 'utf8') === wanted && existsSync(join(BIN, 'node'));
  } catch {
    return false;
  }
}

/** Whether these dependencies were already installed by hand (`npm install`, `npm ci`): npm records what it installed. */
function treeMatches() {
  try {
    const wanted = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
    const found = JSON.parse(readFileSync(join(MODULES, '.package-lock.json'), 'utf8')).packages;
    const same = Object.entries(wanted).every(
      ([path, entry]) =>
        path === '' || (found[path] === undefined ? entry.optional === true : found[path].version === entry.version),
    );
    return same && existsSync(join(BIN, 'node'));
  } catch {
    return false;
  }
}

async function npmCi() {
  const args = ['ci', '--include=dev', '--loglevel=error', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  const [program, ...rest] = npm?.endsWith('.js') ? [process.execPath, npm, ...args] : ['npm', ...args];
  const done = showStep('installing dependencies');
  const output = [];
  const code = await new Promise((resolve) => {
    const child = spawn(program, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
    child.once('error', (error) => {
      output.push(Buffer.from(`${program}: ${error.message}\n`));
      resolve(1);
    });
    child.once('close', resolve);
    passSignals(child);
  });
  done(code === 0 ? 'installed' : 'failed');
  if (code === 0) return;
  process.stderr.write(Buffer.concat(output));
  console.error('npm ci failed; its output is above. Correct the cause and run the same command again.');
  process.exit(1);
}

/** On a terminal, one line with the seconds; elsewhere a line at the start, every 15 s and at the end. */
function showStep(title) {
  const since = Date.now();
  const live = process.stderr.isTTY;
  const line = (text) => `  ${title}: ${text}${text ? ', ' : ''}${Math.round((Date.now() - since) / 1000)}s`;
  const show = () => process.stderr.write(live ? `\r\x1b[2K${line('')}` : `${line('')}\n`);
  show();
  const timer = setInterval(show, live ? 1000 : 15_000);
  return (result) => {
    clearInterval(timer);
    process.stderr.write(`${live ? '\r\x1b[2K' : ''}${line(result)}\n`);
  };
}

/** Runs a script with the project's Node in the caller's folder; resolves with its exit code. */
function run(args, options = {}) {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` };
    const child = spawn(join(BIN, 'node'), args, { stdio: 'inherit', env, ...options });
    passSignals(child);
    child.once('error', (error) => {
      console.error(`${join(BIN, 'node')}: ${error.message}`);
      resolve(1);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + (SIGNALS[signal] ?? 0)));
  });
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Passes signals on to the child and waits for its end. Ctrl-C reaches the child anyway; a second signal does no harm. */
function passSignals(child) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    const pass = () => void child.kill(signal);
    process.on(signal, pass);
    child.once('exit', () => process.removeListener(signal, pass));
  }
}

process.exitCode = await main();
