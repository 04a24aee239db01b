import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { status } from '../../contracts/messages/status.ts';
import { toInstallationName } from '../../services/cli/start/demo.ts';
import { listInstanceProcesses } from '../support/instances.ts';
import { until } from '../support/until.ts';
import { whyNoDocker } from '../support/docker.ts';

const RUN = fileURLToPath(new URL('../../deploy/launcher/run.mjs', import.meta.url));
const RESULT = '5 jobs completed, 0 lost, 0 instances left, 0 registrations left';

/** This environment, with the secrets that a configuration names. */
const env = { ...process.env, MINE_TOKEN: 'ghp_mine', MINE_SECRET: 'a secret of mine' };

/** `baton start` as its user runs it, in a folder of its own. */
class Started {
  output = '';
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(folder: string, ...args: string[]) {
    // run.mjs works with any Node, and starts the project's own.
    this.process = spawn('node', [RUN, 'start', ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
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

  /** Resolves when it has printed `text`. */
  async printed(text: string): Promise<void> {
    const check = (): void => {
      if (!this.output.includes(text)) throw new Error(`it did not print "${text}", but:\n${this.output}`);
    };
    await until(check);
  }
}

describe('baton start', { timeout: 240_000 }, () => {
  let folder: string;
  let running: Started[] = [];

  beforeEach(() => {
    // With a space in its name, and without symbolic links, as in the working directory of processes.
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'baton start ')));
    running = [];
  });
  afterEach(async () => {
    for (const { process, ended } of running) {
      if (process.exitCode === null) process.kill('SIGTERM');
      await ended;
    }
    // A guard whose program has ended takes a moment to notice.
    const nothingLeft = (): void => {
      const left = listProcesses(folder);
      if (left.length > 0) throw new Error(`processes are left: ${JSON.stringify(left)}`);
    };
    await until(nothingLeft);
    rmSync(folder, { recursive: true, force: true });
  });

  function start(...args: string[]): Started {
    const started = new Started(folder, ...args);
    running.push(started);
    return started;
  }

  /** `baton …` in another terminal. */
  async function run(...args: string[]): Promise<{ code: number | null; output: string }> {
    const process = spawn('node', [RUN, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [process.stdout, process.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const code = await new Promise<number | null>((resolve) => process.once('close', resolve));
    return { code, output };
  }

  it('runs the demo once with processes as instances, and leaves nothing behind', async () => {
    const once = start('--once', '--backend', 'local', '--copies', '2');
    expect({ code: await once.ended, last: once.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
    expect(once.output).toContain('runners on local (as requested)');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('runs the demo once with containers as instances, and leaves nothing behind', async (context) => {
    const noDocker = await whyNoDocker();
    context.skip(noDocker !== undefined, noDocker);
    const docker = new Docker();
    const once = start('--once');
    expect({ code: await once.ended, last: once.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
    expect(once.output).toContain('runners on docker');
    const filters = { label: [`baton.installation=${toInstallationName(folder)}`] };
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    expect(await docker.listNetworks({ filters })).toEqual([]);
  });

  it('stops everything on Ctrl-C while jobs run', async () => {
    const started = start('--backend', 'local');
    await started.printed('in progress on');
    started.process.kill('SIGINT');
    expect(await started.ended).toBe(0);
    expect(started.output).toContain('stopping');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('runs on after the demo, answers `baton status`, restarts a killed service, and refuses a second start in its folder', async () => {
    const started = start('--backend', 'local');
    await started.printed('Everything runs until you press Ctrl-C');

    const second = start('--backend', 'local');
    expect(await second.ended).toBe(1);
    expect(second.output).toContain(`process `);
    expect(second.output).toContain('already runs in this folder');

    await until(async () => {
      const asked = spawn('node', [RUN, 'status', '--json'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
      let answer = '';
      asked.stdout.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
      });
      await new Promise((resolve) => asked.once('close', resolve));
      expect(status.parse(JSON.parse(answer))).toMatchObject({
        installation: toInstallationName(folder),
        groups: [{ name: 'linux' }],
      });
    });

    const relays = (): number[] =>
      listProcesses(folder).flatMap(({ pid, command }) =>
        command.includes('relay/main.ts') && !command.includes('guard.sh') ? [pid] : [],
      );
    const [relay = 0, ...more] = relays();
    expect(more).toEqual([]);
    process.kill(relay, 'SIGKILL');
    await started.printed('relay ended unexpectedly');
    await expect.poll(() => relays().filter((pid) => pid !== relay)).toHaveLength(1);

    started.process.kill('SIGTERM');
    expect(await started.ended).toBe(0);
    expect(existsSync(join(folder, '.baton'))).toBe(false);
  });

  it('applies its changed configuration file, refuses a broken one, and prints which changes need a new start', async () => {
    const file = join(folder, 'baton.yaml');
    const write = (max: number | string, more = ''): void => {
      const config = [
        'name: mine',
        'forge: { url: "http://127.0.0.1:9", token: "${MINE_TOKEN}" }',
        'webhook: { secrets: ["${MINE_SECRET}"] }',
        'backends:',
        '  here: { type: local, root: ./instances }',
        more,
        'groups:',
        `  - { name: linux, organization: acme, labels: [linux], backend: here, max: ${max} }`,
      ];
      writeFileSync(file, config.filter((line) => line !== '').join('\n'));
    };
    write(3);
    const started = start('--config', 'baton.yaml');
    await started.printed('Everything runs until you press Ctrl-C');
    write(5);
    const taken = await run('apply');
    expect(taken.output).toMatch(
      /relay .*applied, 1 groups\n.*orchestrator .*applied, 1 groups\nread from .*baton\.yaml/,
    );
    expect(taken.code).toBe(0);
    await until(async () => expect((await run('status')).output).toMatch(/linux .*0–5/));
    write('many');
    const broken = await run('apply');
    expect(broken.output).toMatch(/baton\.yaml:\d+:\d+: groups\[0\]\.max/);
    expect(broken.code).toBe(1);
    write(6, '  there: { type: local, root: ./others }');
    const more = await run('apply', 'baton.yaml');
    expect(more.output).toContain('backend there is new and has no worker yet');
    await until(async () => expect((await run('status')).output).toMatch(/linux .*0–6/));
    started.process.kill('SIGINT');
    expect(await started.ended).toBe(0);
  });

  it('leaves no process behind when it is killed, and the next start removes what is left', async () => {
    const started = start('--backend', 'local');
    await started.printed('services (');
    for (const { pid, command } of listProcesses(folder))
      if (command.includes('cli/main.ts')) process.kill(pid, 'SIGKILL');
    await started.ended;
    const listOwn = (): unknown[] => {
      const instances = new Set(listInstanceProcesses(folder).map(({ pid }) => pid));
      return listProcesses(folder).filter(({ pid }) => !instances.has(pid));
    };
    await expect.poll(listOwn, { timeout: 60_000 }).toEqual([]);
    // The next start in the same folder removes what the killed one left.
    const next = start('--once', '--backend', 'local');
    expect({ code: await next.ended, last: next.lines.at(-1) }).toEqual({ code: 0, last: RESULT });
  });
});

/** Processes whose working directory is that folder or one below it; none without /proc. */
function listProcesses(folder: string): { pid: number; command: string }[] {
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
