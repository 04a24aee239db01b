import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HookBench, wrapper } from '../../support/hook.ts';

/** A shell command that keeps a core busy until the recorder has written so many lines. */
const UNTIL_SAMPLED = (lines: number): string =>
  `until [ "$(cat "$(dirname "$BATON_HOOKS")"/samples-*.jsonl | wc -l)" -ge ${lines} ]; do :; done`;

let hooks: HookBench;

beforeAll(async () => {
  hooks = await HookBench.start();
});

afterAll(() => hooks.dispose());

describe('resource-usage', () => {
  it('reports what the job used in log, summary and a signal, and takes less than 1 % of a core', async () => {
    const { started, completed, job, signals } = await hooks.run({
      hooks: { wrappers: [wrapper('resource-usage')] },
      // Keeps a core busy until there are some samples.
      steps: [`run: ${UNTIL_SAMPLED(6)}`],
    });
    expect(started.join('\n')).toContain('Recording CPU, memory, disk and network');
    const log = completed.join('\n');
    expect(log).toMatch(/\d+ samples, one per second; [\d.]+ cores and .* of memory/);
    expect(log).toMatch(/^CPU, cores +[\d.]+ +[\d.]+ +[▁▂▃▄▅▆▇█]+$/m);
    for (const name of ['Memory', 'Disk read', 'Disk written', 'Network received', 'Network sent']) {
      expect(log).toMatch(new RegExp(`^${name} +.*[▁▂▃▄▅▆▇█]+$`, 'm'));
    }
    expect(job.summary).toContain('### What this job used');
    expect(job.summary).toMatch(/\| CPU, cores \| [\d.]+ \| [\d.]+ \| [▁▂▃▄▅▆▇█]+ \|/);
    expect(signals.map(({ kind }) => kind)).toEqual(['started', 'resources', 'completed']);
    const [, said] = signals;
    if (said?.kind !== 'resources') throw new Error('no resources');
    const { seconds, cpu, memory } = said.resources;
    expect(seconds).toBeGreaterThanOrEqual(4);
    expect(cpu.peak).toBeGreaterThan(0.3);
    expect(cpu.peak).toBeGreaterThanOrEqual(cpu.average);
    expect(memory.peak).toBeGreaterThan(0);
    expect(memory.peak).toBeLessThanOrEqual(memory.total);
    // CPU time of the recorder, not wall time: it does not depend on what else this machine does.
    const own = Number(/the recorder itself used ([\d.]+) % of a core/.exec(log)?.[1]);
    expect(own).toBeLessThan(1);
    // It ended: only the state is left of it.
    const left = readdirSync(join(hooks.folder, 'r1', 'hooks'));
    expect(left.toSorted()).toEqual(['settings.json', 'state.json']);
    expect(job.steps.find(({ name }) => name === 'Complete job')?.log.join()).not.toContain('recorder');
  });

  it('reports what it has when the job killed its recorder', async () => {
    const { completed, own, job, signals } = await hooks.run({
      hooks: { wrappers: [wrapper('resource-usage')] },
      steps: [
        // Neither ps nor pkill is on every machine.
        `run: ${UNTIL_SAMPLED(3)}; file=$(echo "$(dirname "$BATON_HOOKS")"/samples-*.jsonl); echo "[1,2" >> "$file"; for process in /proc/[0-9]*; do if grep -aqF "$file" "$process/cmdline" 2>/dev/null; then kill -9 "\${process##*/}" && echo "ended it"; fi; done`,
      ],
    });
    expect(own).toContain('\nended it');
    expect(completed.join('\n')).toMatch(/\d+ samples, one per second/);
    expect(signals.map(({ kind }) => kind)).toContain('resources');
    expect(job.conclusion).toBe('success');
  });
});

describe('clean-workspace', () => {
  it('removes everything from the workspace, also hidden files and links, but not what links point to', async () => {
    const outside = join(hooks.folder, 'outside');
    mkdirSync(outside);
    const { completed, job } = await hooks.run({
      hooks: { wrappers: [wrapper('clean-workspace')] },
      steps: [`run: mkdir -p a/b; touch a/b/c .hidden; ln -s '${outside}' link; touch '${outside}/kept'`],
    });
    expect(completed.join('\n')).toMatch(/Removed 3 entries of /);
    expect(existsSync(join(outside, 'kept'))).toBe(true);
    expect(job.conclusion).toBe('success');
  });

  it('warns of what it could not remove', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may remove anything');
    const { completed } = await hooks.run({
      hooks: { wrappers: [wrapper('clean-workspace')] },
      steps: ['run: mkdir locked; touch locked/x; chmod 500 locked'],
    });
    expect(completed.join('\n')).toContain('could not remove locked');
    for (const name of readdirSync(hooks.folder))
      if (name.startsWith('locked')) chmodSync(join(hooks.folder, name), 0o700);
  });
});

describe('docker-prune', () => {
  it('warns if there is no docker CLI', async () => {
    const { completed, job } = await hooks.run({
      hooks: { wrappers: [wrapper('docker-prune')] },
      env: { PATH: hooks.pathWith('sh') },
      steps: ['run: ":"'],
    });
    expect(completed.join('\n')).toContain('it needs docker, and there is no docker CLI on PATH');
    expect(job.conclusion).toBe('success');
  });
});
