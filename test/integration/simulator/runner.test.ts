import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bundleFakeRunner } from '../../../services/simulator/runner/bundle.ts';
import type { Job } from '../../../services/simulator/state.ts';
import { TestBench } from '../../support/simulator.ts';

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start({ timing: { sweepMs: 10, cancelGraceMs: 300 } });
});
afterEach(() => bench.dispose());

const getOutput = (job: Job): string[] =>
  job.steps
    .flatMap(({ log }) => log.slice(log.indexOf('##[endgroup]') + 1))
    .filter((line) => !line.startsWith('##[group]'));

async function run(job: Job, env: Record<string, string> = {}): Promise<Job> {
  const runner = await bench.runner('one', env);
  await bench.completed(job);
  expect(await runner.exited).toBe(0);
  return job;
}

/** A zombie, which init hasn't reaped yet, is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a step in the fake runner', () => {
  it('passes environment variables, path, outputs and summary on through files', async () => {
    const job = await run(
      bench.job([
        '{id: one, run: "echo A=1 >> $GITHUB_ENV; printf \'B<<X\\ntwo\\nlines\\nX\\n\' >> $GITHUB_ENV; echo out=put >> $GITHUB_OUTPUT"}',
        '{run: "echo $A-$B-${{ steps.one.outputs.out }}-$MINE", env: {MINE: "${{ github.repository }}"}}',
        'run: "echo /somewhere >> $GITHUB_PATH; echo \'# Done\' >> $GITHUB_STEP_SUMMARY"',
        'run: echo "${PATH%%:*} $CI $RUNNER_NAME"; test -d "$RUNNER_TEMP" -a -d "$RUNNER_WORKSPACE" -a "$PWD" = "$GITHUB_WORKSPACE"',
      ]),
    );
    expect(job.conclusion).toBe('success');
    expect(getOutput(job)).toEqual(expect.arrayContaining(['1-two lines-put-octo-org/demo', '/somewhere true one']));
    expect(job.summary).toBe('# Done\n');
  });

  it('has its workflow commands applied and its secrets masked', async () => {
    const job = await run(
      bench.job([
        'run: "echo \'::error file=a.ts,line=3,title=Bad::no%0Agood\'; echo ::warning::careful; echo ::debug::hidden"',
        'run: "echo ::add-mask::hunter2; echo my hunter2"',
        'run: "echo ::stop-commands::x; echo ::warning::text; echo ::x::; echo ::notice::again"',
      ]),
    );
    expect(job.conclusion).toBe('success');
    expect(job.annotations).toEqual([
      { level: 'failure', message: 'no\ngood', file: 'a.ts', line: 3, title: 'Bad' },
      { level: 'warning', message: 'careful' },
      { level: 'notice', message: 'again' },
    ]);
    expect(getOutput(job)).toEqual(expect.arrayContaining(['my ***', '::warning::text']));
    expect(getOutput(job).join()).not.toContain('hidden');
  });

  it('runs in its shell, and fails as that shell does', async () => {
    const job = await run(
      bench.job([
        '{run: "false | true", continue-on-error: true}',
        '{id: strict, run: "false | true", shell: bash, continue-on-error: true}',
        '{run: "import sys; print(\'python\', sys.version_info[0])", shell: python}',
        '{run: "echo plain $0", shell: sh}',
        'run: echo "strict was ${{ steps.strict.outcome }}"',
      ]),
    );
    expect(getOutput(job)).toEqual(expect.arrayContaining(['python 3', 'strict was failure']));
    expect(job.conclusion).toBe('success');
    expect(job.steps.map(({ log }) => log.find((line) => line.startsWith('shell:')) ?? '')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/bash -e \{0\}$/),
        expect.stringMatching(/bash --noprofile --norc -eo pipefail \{0\}$/),
        expect.stringMatching(/\/sh -e \{0\}$/),
      ]),
    );
  });

  it('is skipped when its condition is false', async () => {
    const job = await run(
      bench.job([
        'run: exit 3',
        'run: echo never',
        '{run: echo on failure, if: failure()}',
        '{run: echo always, if: "${{ always() }}"}',
        '{run: echo other, if: "always() && github.ref_name == \'other\'"}',
      ]),
    );
    expect(job.conclusion).toBe('failure');
    expect(job.steps.map(({ conclusion }) => conclusion)).toEqual([
      'success',
      'failure',
      'skipped',
      'success',
      'success',
      'skipped',
      'success',
    ]);
  });
});

describe('a cancelled job in the fake runner', () => {
  it('has its step interrupted, then killed, and still runs always() steps', async () => {
    const job = bench.job([
      'run: "trap \'\' INT TERM; sleep 300 & echo child $!; wait; wait; sleep 300"',
      'run: echo never',
      '{run: echo cleaned, if: always()}',
    ]);
    const runner = await bench.runner('stubborn');
    await expect.poll(() => getOutput(job).join()).toMatch(/child \d+/);
    const child = Number(/child (\d+)/.exec(getOutput(job).join())?.[1]);
    expect(isAlive(child)).toBe(true);
    expect((await bench.api('POST', `/repos/octo-org/demo/actions/runs/${job.run.id}/cancel`)).status).toBe(202);
    await bench.completed(job);
    expect(job.conclusion).toBe('cancelled');
    expect(job.steps.map(({ conclusion }) => conclusion)).toEqual([
      'success',
      'cancelled',
      'skipped',
      'success',
      'success',
    ]);
    expect(await runner.exited).toBe(0);
    expect(isAlive(child)).toBe(false);
  });
});

describe('the fake runner', () => {
  it('ends processes that a job left behind, and removes its own folders', async () => {
    const job = await run(bench.job(['run: "sleep 300 >/dev/null 2>&1 & echo child $!"']));
    const child = Number(/child (\d+)/.exec(getOutput(job).join())?.[1]);
    await expect.poll(() => isAlive(child)).toBe(false);
    expect(existsSync(join(bench.path, '_work'))).toBe(false);
  });

  it('stops on SIGTERM while it is idle, and is offline at once', async () => {
    const runner = await bench.runner('idle');
    await bench.log.waitFor('it to come online', (event) => event.type === 'runner.online');
    runner.child.kill('SIGTERM');
    expect(await runner.exited).toBe(0);
    await bench.log.waitFor('it to go offline', (event) => event.type === 'runner.offline');
  });

  it('does not show its JIT config to the job', async () => {
    const { jit } = await bench.register('by-variable');
    const job = bench.job(['run: env']);
    const program = fileURLToPath(new URL('../../../services/simulator/runner/main.ts', import.meta.url));
    const { exited } = bench.spawn(process.execPath, [program], { ACTIONS_RUNNER_INPUT_JITCONFIG: jit });
    await bench.completed(job);
    expect(await exited).toBe(0);
    expect(getOutput(job).join('\n')).not.toContain(jit.slice(0, 40));
  });

  it('is bundled into a folder with run.sh, which always exits with 0', async () => {
    const folder = join(bench.path, 'runner');
    await bundleFakeRunner(folder);
    const { jit } = await bench.register('bundled');
    const job = bench.job(['run: exit 3']);
    const env = { BATON_NODE: process.execPath };
    const good = bench.spawn(join(folder, 'run.sh'), ['--jitconfig', jit], env);
    await bench.completed(job);
    expect(await good.exited).toBe(0);
    expect(good.output()).toContain('Job build completed with result: Failed');
    // Its registration was removed with its job.
    const bad = bench.spawn(join(folder, 'run.sh'), ['--jitconfig', jit], env);
    expect(await bad.exited).toBe(0);
    expect(bad.output()).toContain('The runner registration has been deleted');
  });

  it('gets a SIGTERM to run.sh when RUNNER_MANUALLY_TRAP_SIG is set', async () => {
    const folder = join(bench.path, 'runner');
    await bundleFakeRunner(folder);
    const { jit } = await bench.register('trapped');
    const env = { BATON_NODE: process.execPath, RUNNER_MANUALLY_TRAP_SIG: '1' };
    const runner = bench.spawn(join(folder, 'run.sh'), ['--jitconfig', jit], env);
    await bench.log.waitFor('it to come online', (event) => event.type === 'runner.online');
    runner.child.kill('SIGTERM');
    expect(await runner.exited).toBe(0);
    await bench.log.waitFor('it to go offline', (event) => event.type === 'runner.offline');
    expect(bench.log.since(0, 'runner.offline')).toHaveLength(1);
  });
});
