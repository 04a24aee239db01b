import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { status } from '../../contracts/messages/status.ts';
import { demoManager } from '../../services/cli/start/demo.ts';

const RUN = fileURLToPath(new URL('../../deploy/run.mjs', import.meta.url));
const RESULT = '5 jobs completed, 0 lost, 0 instances left, 0 registrations left';

/** `baton start` as a person starts it, in a folder of its own. */
class Started {
  output = '';
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(folder: string, ...args: string[]) {
    // Any Node may be the first: run.mjs hands over to the project's own.
    this.process = spawn('node', [RUN, 'start', ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
  }

  get lines(): string[] {
    return this.output.trimEnd().split('\n');
  }

  /** Resolves when it has said that. */
  async said(text: string): Promise<void> {
    const check = (): void => {
      if (!this.output.includes(text)) throw new Error(`it did not say "${text}", but:\n${this.output}`);
    };
    await vi.waitFor(check, { timeout: 90_000, interval: 100 });
  }
}

describe('baton start', { timeout: 240_000 }, () => {
  let folder: string;
  let running: Started[] = [];

  beforeEach(() => {
    // With a blank in it, and a real path, as the processes' own working directory will be.
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'baton start ')));
    running = [];
  });
  afterEach(async () => {
    for (const { process, ended } of running) {
      if (process.exitCode === null) process.kill('SIGTERM');
      await ended;
    }
    const left = processesOf(folder);
    if (left.length > 0) throw new Error(`processes are left: ${JSON.stringify(left)}`);
    rmSync(folder, { recursive: true, force: true });
  });

  function start(...args: string[]): Started {
    const started = new Started(folder, ...args);
    running.push(started);
    return started;
  }

  it('runs the demo once on processes, and leaves nothing', async () => {
    const once = start('--once', '--backend', 'local', '--copies', '2');
    expect({ code: await once.ended, last: once.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
    expect(once.output).toContain('runners on local (as asked for)');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('runs the demo once in containers, and leaves nothing', async (context) => {
    const docker = new Docker();
    const answers = await docker.ping().then(
      () => true,
      () => false,
    );
    context.skip(!answers, 'needs a Docker engine');
    const once = start('--once');
    expect({ code: await once.ended, last: once.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
    expect(once.output).toContain('runners on docker');
    const filters = { label: [`baton.manager=${demoManager(folder)}`] };
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    expect(await docker.listNetworks({ filters })).toEqual([]);
  });

  it('takes everything down on Ctrl-C, in the middle of its jobs too', async () => {
    const started = start('--backend', 'local');
    await started.said('in progress on');
    started.process.kill('SIGINT');
    expect(await started.ended).toBe(0);
    expect(started.output).toContain('stopping');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('stays up after the demo, tells its status, restarts what dies, and lets no second one in', async () => {
    const started = start('--backend', 'local');
    await started.said('All is up until Ctrl-C');

    const second = start('--backend', 'local');
    expect(await second.ended).toBe(1);
    expect(second.output).toContain(`process `);
    expect(second.output).toContain('already runs in this folder');

    const asked = spawn('node', [RUN, 'status', '--json'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let answer = '';
    asked.stdout.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    await new Promise((resolve) => asked.once('close', resolve));
    expect(status.parse(JSON.parse(answer))).toMatchObject({
      manager: demoManager(folder),
      groups: [{ name: 'linux' }],
    });

    const [relay] = processesOf(folder).filter(({ command }) => command.includes('relay/main.ts'));
    process.kill(relay?.pid ?? 0, 'SIGKILL');
    await started.said('relay ended unexpectedly');
    await expect
      .poll(() => processesOf(folder).filter(({ command }) => command.includes('relay/main.ts')).length, {
        timeout: 20_000,
      })
      .toBe(1);

    started.process.kill('SIGTERM');
    expect(await started.ended).toBe(0);
    expect(existsSync(join(folder, '.baton'))).toBe(false);
  });

  it('leaves no process behind when it is killed', async () => {
    const started = start('--backend', 'local');
    await started.said('services (');
    for (const { pid, command } of processesOf(folder))
      if (command.includes('cli/main.ts')) process.kill(pid, 'SIGKILL');
    await started.ended;
    await expect
      .poll(() => processesOf(folder).filter(({ command }) => !command.includes('agent')), { timeout: 60_000 })
      .toEqual([]);
    // What it could not remove goes with the next start in the same folder.
    const next = start('--once', '--backend', 'local');
    expect({ code: await next.ended, last: next.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
  });
});

/** Processes that work in that folder or below (Linux; elsewhere none is found). */
function processesOf(folder: string): { pid: number; command: string }[] {
  if (!existsSync('/proc/self')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const cwd = realpathSync(`/proc/${name}/cwd`);
        if (cwd !== folder && !cwd.startsWith(`${folder}/`)) return [];
        return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
      } catch {
        return [];
      }
    });
}
