import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job } from '../../../services/simulator/state.ts';
import { TestBench } from '../../support/simulator.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start({ timing: { sweepMs: 10, cancelGraceMs: 300 } });
});
afterEach(() => bench.dispose());

/** A script in the bench's folder. @returns its path */
function script(name: string, text: string): string {
  const path = join(bench.path, name);
  writeFileSync(path, text);
  return path;
}

const STARTED = 'ACTIONS_RUNNER_HOOK_JOB_STARTED';
const COMPLETED = 'ACTIONS_RUNNER_HOOK_JOB_COMPLETED';

async function run(job: Job, hooks: Record<string, string>): Promise<Job> {
  const runner = await bench.runner('hooked', hooks);
  await bench.completed(job);
  await runner.exited;
  return job;
}

const steps = (job: Job) => job.steps.map(({ name, conclusion }) => `${name}: ${conclusion}`);
const getLog = (job: Job, name: string) => job.steps.find((step) => step.name === name)?.log.join('\n') ?? '';

describe('the job hooks of the fake runner', () => {
  it('are steps of their own, before and after all others, that show path, shell and output', async () => {
    const started = script(
      'started.sh',
      'echo "for $GITHUB_JOB of $GITHUB_REPOSITORY"\ntest -s "$GITHUB_EVENT_PATH"\n',
    );
    const completed = script('completed.sh', 'echo "action is ${GITHUB_ACTION:-unset}"\n');
    const job = await run(bench.job(['run: echo hello']), { [STARTED]: started, [COMPLETED]: completed });
    expect(job.conclusion).toBe('success');
    expect(steps(job)).toEqual([
      'Set up job: success',
      'Set up runner: success',
      'Run echo hello: success',
      'Complete runner: success',
      'Complete job: success',
    ]);
    expect(getLog(job, 'Set up runner')).toContain(`Run '${started}'`);
    expect(getLog(job, 'Set up runner')).toMatch(/shell: \S*bash -e \{0\}/);
    expect(getLog(job, 'Set up runner')).toContain('for build of octo-org/demo');
    expect(getLog(job, 'Complete runner')).toContain('action is unset');
  });

  it('pass environment variables and path to all later steps, but neither outputs nor state', async () => {
    const started = script(
      'started.sh',
      'echo "COLOUR=blue" >> "$GITHUB_ENV"\necho "/opt/extra" >> "$GITHUB_PATH"\n' +
        'echo "::set-output name=a::b"\necho "::save-state name=a::b"\necho "::notice title=Moving::use the new pool"\n',
    );
    const job = await run(bench.job(['run: echo "$COLOUR ${PATH%%:*}"']), { [STARTED]: started });
    expect(getLog(job, 'Run echo "$COLOUR ${PATH%%:*}"')).toContain('blue /opt/extra');
    expect(getLog(job, 'Set up runner')).toContain("'set-output' is not supported in a job hook");
    expect(getLog(job, 'Set up runner')).toContain("'save-state' is not supported in a job hook");
    expect(job.annotations).toEqual([{ level: 'notice', message: 'use the new pool', title: 'Moving' }]);
  });

  it.each([
    ['exits with 78', 'exit 78\n', 'Process completed with exit code 78.'],
    ['has a failing command (-e)', 'false\necho never\n', 'Process completed with exit code 1.'],
  ])(
    'fail the job when the started hook %s; always() steps and the completed hook still run',
    async (_why, text, message) => {
      const hooks = { [STARTED]: script('started.sh', text), [COMPLETED]: script('completed.sh', 'echo bye\n') };
      const job = await run(bench.job(['run: echo never', '{run: echo still, if: always()}']), hooks);
      expect(job.conclusion).toBe('failure');
      expect(steps(job).slice(1, 5)).toEqual([
        'Set up runner: failure',
        'Run echo never: skipped',
        'Run echo still: success',
        'Complete runner: success',
      ]);
      expect(job.annotations).toEqual([{ level: 'failure', message }]);
    },
  );

  it('fail the job when the completed hook fails, although all steps succeeded', async () => {
    const job = await run(bench.job(['run: "true"']), { [COMPLETED]: script('completed.sh', 'exit 1\n') });
    expect(job.conclusion).toBe('failure');
  });

  it.each([
    ['a missing file', '/nowhere/started.sh', "File doesn't exist"],
    ['a relative path', 'started.sh', 'is not an absolute path'],
    ['another kind of file', '/bin/sh', "Make sure it ends in '.sh' or '.ps1'"],
  ])('fail the job for %s', async (_what, path, message) => {
    const job = await run(bench.job(['run: "true"']), { [STARTED]: path });
    expect(job.conclusion).toBe('failure');
    expect(job.annotations[0]?.message).toContain(message);
  });

  it('run .ps1 files with pwsh, and fail without it', async () => {
    const folder = script('started.ps1', 'exit 0').replace('/started.ps1', '');
    const fake = script('pwsh', '#!/bin/sh\necho "pwsh got: $*"\n');
    const path = `${folder}:${process.env['PATH']}`;
    const without = await run(bench.job(['run: "true"']), { [STARTED]: join(folder, 'started.ps1') });
    expect(without.annotations[0]?.message).toBe('powershell: command not found');
    const { chmodSync } = await import('node:fs');
    chmodSync(fake, 0o755);
    const job = await run(bench.job(['run: "true"']), { [STARTED]: join(folder, 'started.ps1'), PATH: path });
    expect(getLog(job, 'Set up runner')).toContain(`pwsh got: -command . '${folder}/started.ps1'`);
    expect(job.conclusion).toBe('success');
  });

  it.each([
    ['fails', 'fail', 'failure'],
    ['is cancelled', 'cancel', 'cancelled'],
  ] as const)('do not run when the initialisation of the job %s', async (_what, initialisation, conclusion) => {
    const hooks = { [STARTED]: script('started.sh', 'echo on\n'), [COMPLETED]: script('completed.sh', 'echo off\n') };
    const [job] = bench.push('jobs: {build: {runs-on: demo, steps: [{run: "true"}]}}', {
      initialisation: { build: initialisation },
    });
    if (!job) throw new Error('no job');
    await run(job, hooks);
    expect(job.conclusion).toBe(conclusion);
    expect(job.steps.map(({ name }) => name)).toEqual(['Set up job', 'Complete job']);
  });

  it('do not run when an action cannot be downloaded', async () => {
    const job = await run(bench.job(['uses: octo-org/missing@v1']), { [STARTED]: script('started.sh', 'echo on\n') });
    expect(job.annotations[0]?.message).toContain('Unable to resolve action octo-org/missing@v1');
    expect(steps(job)).toEqual(['Set up job: failure', 'Complete job: success']);
  });

  it('run the completed hook on a cancellation, but not on the runner’s shutdown', async () => {
    const hooks = { [COMPLETED]: script('completed.sh', 'echo bye\n') };
    for (const end of ['cancel', 'shutdown'] as const) {
      const job = bench.job(['run: echo now; exec sleep 60']);
      const runner = await bench.runner(`hooked-${end}`, hooks);
      await bench.log.waitFor('the job to start', (event) => event.type === 'job.started' && event['jobId'] === job.id);
      await expect.poll(() => getLog(job, 'Run echo now; exec sleep 60')).toContain('\nnow');
      if (end === 'cancel') await bench.control('POST', `/jobs/${job.id}/cancel`);
      else runner.child.kill('SIGTERM');
      await bench.completed(job);
      expect(job.conclusion).toBe(end === 'cancel' ? 'cancelled' : 'failure');
      expect(job.steps.some(({ name }) => name === 'Complete runner')).toBe(end === 'cancel');
      expect(await runner.exited).toBe(0);
    }
  });

  it('finish before the job’s result is reported', async () => {
    const mark = join(bench.path, 'mark');
    const completed = script('completed.sh', `until [ -e '${mark}' ]; do sleep 0.05; done\necho seen\n`);
    const job = bench.job(['run: "true"']);
    const ended = run(job, { [COMPLETED]: completed });
    await expect.poll(() => getLog(job, 'Complete runner')).toContain('shell:');
    expect(job.status).toBe('in_progress');
    writeFileSync(mark, '');
    await ended;
    expect(getLog(job, 'Complete runner')).toContain('seen');
    expect(job.conclusion).toBe('success');
  });
});
