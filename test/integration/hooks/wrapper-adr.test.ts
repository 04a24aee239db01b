import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../../../services/simulator/state.ts';
import { HookBench, wrapper, type HookRun } from '../../support/hook.ts';

let hooks: HookBench;

beforeAll(async () => {
  hooks = await HookBench.start();
});

afterAll(() => hooks.dispose());

const SAY = 'console.log(process.env.GITHUB_ACTION, process.env.BATON_WRAPPER_PHASE);';
const ALL = '  pre: pre.js\n  main: main.js\n  post: post.js\n';

/** An action whose phases print their names, such as `a pre`, and then run the given code. */
function createAction(
  name: string,
  runs = ALL,
  more: Partial<Record<'pre' | 'main' | 'post', string>> = {},
  top = '',
): string {
  return hooks.action(name, {
    'action.yml': `name: ${name}\n${top}runs:\n  using: node24\n${runs}`,
    'pre.js': SAY + (more.pre ?? ''),
    'main.js': SAY + (more.main ?? ''),
    'post.js': SAY + (more.post ?? ''),
  });
}

/** The lines that the actions printed, in order. */
const phasesIn = (lines: string[]): string[] => lines.filter((line) => /^[\w-]+ (pre|main|post)$/.test(line));

const problems = ({ started, completed }: HookRun): string =>
  [...started, ...completed].filter((line) => /^##\[(warning|error)\]/.test(line)).join('\n');

describe('ADR 361: pre, main and post', () => {
  it('“pre executes in order of how the steps are defined”, before every main; posts are popped from a stack', async () => {
    const wrappers = ['a', 'b', 'c'].map((name) => wrapper(createAction(name)));
    const run = await hooks.run({ hooks: { wrappers } });
    expect(phasesIn(run.started)).toEqual(['a pre', 'b pre', 'c pre', 'a main', 'b main', 'c main']);
    expect(phasesIn(run.completed)).toEqual(['c post', 'b post', 'a post']);
    expect(problems(run)).toBe('');
    expect(run.job.conclusion).toBe('success');
    expect(run.signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
  });

  it('“post will be pushed lazily when the pre or main is about to run”: one whose phases were skipped has none', async () => {
    const lazy = createAction('lazy', `${ALL}  pre-if: failure()\n`);
    const fails = createAction('fails', ALL, { pre: 'process.exit(3)' });
    const run = await hooks.run({
      hooks: { policy: 'strict', wrappers: [wrapper(lazy), wrapper(fails), wrapper(createAction('later'))] },
      steps: ['run: echo never'],
    });
    // The strict failure makes the job a failed one: no main runs any more, but `pre` is always().
    expect(phasesIn(run.started)).toEqual(['fails pre', 'later pre']);
    expect(phasesIn(run.completed)).toEqual(['later post', 'fails post']);
    expect(run.job.conclusion).toBe('failure');
  });

  it('“both pre and post will have default always()”: after a failed job the post runs', async () => {
    const run = await hooks.run({ hooks: { wrappers: [wrapper(createAction('kept'))] }, steps: ['run: exit 1'] });
    expect(phasesIn(run.completed)).toEqual(['kept post']);
    expect(run.job.conclusion).toBe('failure');
  });

  it.each([
    ['success', ['p-success', 'p-always', 'p-plain']],
    ['failure', ['p-failure', 'p-always', 'p-either']],
    ['cancelled', ['p-cancelled', 'p-always', 'p-either']],
  ])('evaluates post-if of a job that ends with %s', async (outcome, expected) => {
    const conditions = {
      'p-success': 'success()',
      'p-failure': 'failure()',
      'p-cancelled': 'cancelled()',
      'p-always': 'always()',
      'p-either': 'failure() || cancelled()',
      // Without a status function: success() && (…).
      'p-plain': "env.RUNNER_NAME != '' && github.job == 'build'",
    };
    const wrappers = Object.entries(conditions).map(([name, condition]) =>
      wrapper(createAction(name, `${ALL}  post-if: "${condition}"\n`)),
    );
    const steps = {
      success: ['run: "true"'],
      failure: ['run: exit 1', '{run: "true", if: always()}'],
      cancelled: ['run: echo running; exec sleep 300'],
    }[outcome];
    const cancel = async (job: Job): Promise<void> => {
      await expect.poll(() => job.steps.flatMap(({ log }) => log), { timeout: 90_000 }).toContain('running');
      await hooks.bench.api('POST', `/repos/octo-org/demo/actions/runs/${job.run.id}/cancel`);
    };
    const run = await hooks.run({
      hooks: { wrappers },
      ...(steps && { steps }),
      ...(outcome === 'cancelled' && { meanwhile: cancel }),
    });
    expect(run.job.conclusion).toBe(outcome);
    expect(phasesIn(run.completed).map((line) => line.split(' ')[0])).toEqual(expected.toReversed());
  });
});

describe('ADR 361: which actions are valid', () => {
  const [pre, main, post] = ['  pre: pre.js\n', '  main: main.js\n', '  post: post.js\n'];

  it.each([
    ['main', main, ['main']],
    ['pre-main', pre + main, ['pre', 'main']],
    ['main-post', main + post, ['main', 'post']],
    ['pre-main-post', pre + main + post, ['pre', 'main', 'post']],
  ])('accepts an action with %s', async (name, runs, phases) => {
    const run = await hooks.run({ hooks: { wrappers: [wrapper(createAction(name, runs))] } });
    expect(phasesIn([...run.started, ...run.completed])).toEqual(phases.map((phase) => `${name} ${phase}`));
    expect(problems(run)).toBe('');
  });

  it('warns of an invalid action with file and rule, and runs the others', async () => {
    const invalid: [name: string, yaml: string, rule: string][] = [
      ['only-pre', `runs:\n  using: node24\n${pre}`, 'it has only runs.pre: runs.main is missing (ADR 361)'],
      ['only-post', `runs:\n  using: node24\n${post}`, 'it has only runs.post: runs.main is missing (ADR 361)'],
      ['pre-post', `runs:\n  using: node24\n${pre}${post}`, 'it has only runs.pre and runs.post'],
      ['sh-only-post', `runs:\n  using: sh\n${post}`, 'it has only runs.post: runs.main is missing (ADR 361)'],
      ['empty', 'runs:\n  using: node24\n', 'runs.main is missing (ADR 361)'],
      ['no-image', 'runs:\n  using: docker\n  entrypoint: /x\n', 'a docker action needs runs.image'],
      ['composite', 'runs:\n  using: composite\n  steps: []\n', 'runs.using "composite" is not one of node12, node16'],
      ['no-file', 'runs:\n  using: node24\n  main: gone.js\n', 'runs.main names gone.js, which does not exist'],
      ['no-runs', 'name: x\n', 'runs: '],
      ['no-yaml', 'runs: [\n', 'reading '],
    ];
    const wrappers = invalid.map(([name, yaml]) =>
      wrapper(hooks.action(name, { 'action.yml': yaml, 'pre.js': SAY, 'post.js': SAY })),
    );
    wrappers.push(wrapper(`${hooks.folder}/nowhere`), wrapper(createAction('fine')));
    const run = await hooks.run({ hooks: { wrappers } });
    for (const [name, , rule] of invalid) {
      const warning = run.started.find((line) => line.startsWith(`##[warning]Baton: wrapper ${name}: `));
      expect(warning).toContain(`actions/${name}/action.yml: `);
      expect(warning).toContain(rule);
    }
    expect(problems(run)).toContain('nowhere/action.yml: the file does not exist');
    expect(phasesIn([...run.started, ...run.completed])).toEqual(['fine pre', 'fine main', 'fine post']);
    expect(run.job.conclusion).toBe('success');
  });
});

describe('what runs an action: runs.using', () => {
  it.each(['node20', 'node24'])('%s: Node, without a warning', async (using) => {
    const name = `on-${using}`;
    const folder = hooks.action(name, {
      'action.yml': `runs:\n  using: ${using}\n${ALL}`,
      'pre.js': SAY,
      'main.js': SAY,
      'post.js': SAY,
    });
    const run = await hooks.run({ hooks: { wrappers: [wrapper(folder)] } });
    expect(phasesIn([...run.started, ...run.completed])).toHaveLength(3);
    expect(problems(run)).toBe('');
  });

  it.each(['node12', 'node16'])('%s: a current Node, with a warning', async (using) => {
    const name = `on-${using}`;
    const folder = hooks.action(name, { 'action.yml': `runs:\n  using: ${using}\n  main: main.js\n`, 'main.js': SAY });
    const run = await hooks.run({ hooks: { wrappers: [wrapper(folder)] } });
    expect(phasesIn(run.started)).toEqual([`${name} main`]);
    expect(problems(run)).toContain(`asks for ${using}, which has reached its end of life: it runs on Node 2`);
  });

  it('sh: bash, otherwise sh, which ends at the first error', async () => {
    const folder = hooks.action('shell', {
      'action.yml': 'runs:\n  using: sh\n  pre: a.sh\n  main: b.sh\n  post: c.sh\n',
      'a.sh': 'echo "kept=by $INPUT_NAME" >> "$GITHUB_STATE"; false; echo never\n',
      'b.sh': 'echo never\n',
      'c.sh': 'echo "$STATE_kept"\n',
    });
    const run = await hooks.run({ hooks: { wrappers: [wrapper(folder, { with: { name: 'shell' } })] } });
    expect(run.started).toContain('##[warning]Baton: wrapper shell: its pre ended with code 1');
    expect(run.started).not.toContain('never');
    expect(run.completed).toContain('by shell');
  });
});

describe('what a wrapper writes', () => {
  it('keeps state for its own later phases, and its outputs apart from other wrappers', async () => {
    const keeps = (name: string, value: string): string =>
      createAction(name, ALL, {
        pre: `console.log('::save-state name=old::${value}%0Atwo'); console.log('::set-output name=out::${value}')`,
        main: `const fs = require('fs'); fs.appendFileSync(process.env.GITHUB_STATE, 'new<<E\\n${value}!\\nE\\n');
          fs.appendFileSync(process.env.GITHUB_OUTPUT, 'more=${value}\\n')`,
        post: `console.log(JSON.stringify([process.env.STATE_old, process.env.STATE_new, process.env.out ?? null]))`,
      });
    const wrappers = [wrapper(keeps('k1', 'one')), wrapper(keeps('k2', 'two'))];
    const run = await hooks.run({ hooks: { wrappers }, env: { RUNNER_DEBUG: '1', ACTIONS_STEP_DEBUG: 'true' } });
    expect(run.completed).toContain('["one\\ntwo","one!",null]');
    expect(run.completed).toContain('["two\\ntwo","two!",null]');
    // The forge's runner refuses these commands in a hook: they must not reach it.
    expect([...run.started, ...run.completed].join('\n')).not.toMatch(/set-output|save-state/);
    expect(run.started).toContain('##[debug]Baton: outputs of k1: out');
  });

  it('passes GITHUB_ENV and GITHUB_PATH to later wrappers and to the job', async () => {
    const gives = createAction('gives', ALL, {
      pre: `const fs = require('fs'); fs.appendFileSync(process.env.GITHUB_ENV, 'GIVEN<<E\\nfrom\\npre\\nE\\n');
        fs.appendFileSync(process.env.GITHUB_PATH, '/given/bin\\n');`,
      main: `require('fs').appendFileSync(process.env.GITHUB_STEP_SUMMARY, '# Given')`,
    });
    const takes = createAction('takes', ALL, {
      main: `console.log(JSON.stringify(process.env.GIVEN), process.env.PATH.split(':')[0])`,
    });
    const run = await hooks.run({
      hooks: { wrappers: [wrapper(gives), wrapper(takes)] },
      steps: ['run: echo "job $GIVEN ${PATH%%:*}"'],
    });
    expect(run.started).toContain('"from\\npre" /given/bin');
    expect(run.own).toContain('job from\npre /given/bin');
    expect(run.job.summary).toBe('# Given\n');
    expect(problems(run)).toBe('');
  });

  it('gets a warning for what would make the forge’s runner fail the hook', async () => {
    const odd = createAction('odd', ALL, {
      main: `const fs = require('fs'); fs.appendFileSync(process.env.GITHUB_ENV, 'FINE=1\\nNODE_OPTIONS=x\\nno pair\\n');`,
    });
    const run = await hooks.run({ hooks: { wrappers: [wrapper(odd)] }, steps: ['run: echo "fine $FINE"'] });
    expect(run.own).toContain('fine 1');
    expect(problems(run)).toContain('does not accept NODE_OPTIONS');
    expect(problems(run)).toContain('neither NAME=value nor NAME<<DELIMITER');
    expect(run.job.conclusion).toBe('success');
  });

  it('cannot leave a group open, or commands stopped, after its phase', async () => {
    const stops = createAction('stops', ALL, {
      main: `console.log('::group::open'); console.log('::stop-commands::t0k'); console.log('::save-state name=x::no')`,
      post: `console.log('x is ' + process.env.STATE_x)`,
    });
    const warns = createAction('warns', ALL, { main: `console.log('::warning::visible')` });
    const run = await hooks.run({ hooks: { wrappers: [wrapper(stops), wrapper(warns)] } });
    expect(run.job.annotations).toEqual([{ level: 'warning', message: 'visible' }]);
    expect(run.completed).toContain('x is undefined');
  });

  it('receives the group’s inputs, and defaults whose expressions are evaluated', async () => {
    const top = `inputs:
  a-name: { description: x, default: "\${{ github.repository }}-\${{ runner.os }}" }
  Given One: { default: no }
  token: { default: "\${{ github.token }}" }
  must: { required: true }
`;
    const asks = createAction(
      'asks',
      ALL,
      {
        main: `console.log(JSON.stringify(Object.fromEntries(Object.entries(process.env).filter(([k]) => k.startsWith('INPUT_')))))`,
      },
      top,
    );
    const run = await hooks.run({ hooks: { wrappers: [wrapper(asks, { with: { 'given one': 'yes', extra: '1' } })] } });
    const inputs: unknown = JSON.parse(run.started.find((line) => line.startsWith('{"')) ?? '');
    expect(inputs).toEqual({
      'INPUT_A-NAME': 'octo-org/demo-Linux',
      INPUT_GIVEN_ONE: 'yes',
      INPUT_EXTRA: '1',
      INPUT_TOKEN: '',
      INPUT_MUST: '',
    });
    expect(problems(run)).toBe('##[warning]Baton: wrapper asks has no value for its required inputs: must');
  });
});

describe('a wrapper that fails causes a warning, and never stops the posts of the others', () => {
  it.each([
    ['hangs', 1000, 'setInterval(() => {}, 1000)', 'did not end within 1 s and was stopped'],
    ['ignores-signals', 1000, `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`, 'did not end within 1 s'],
    ['crashes', 60_000, `process.kill(process.pid, 'SIGKILL')`, 'was ended by SIGKILL'],
    ['throws', 60_000, `throw new Error('no')`, 'ended with code 1'],
  ])('%s', async (name, timeoutMs, code, problem) => {
    const bad = createAction(name, '  main: main.js\n  post: post.js\n', { main: code, post: code });
    const wrappers = [wrapper(createAction('before')), wrapper(bad, { timeoutMs }), wrapper(createAction('after'))];
    const run = await hooks.run({ hooks: { wrappers } });
    expect(phasesIn(run.started)).toContain('after main');
    // On a loaded machine it may be stopped before it has printed its name.
    expect(phasesIn(run.completed).filter((line) => !line.startsWith(name))).toEqual(['after post', 'before post']);
    expect(run.started.join('\n')).toContain(`##[warning]Baton: wrapper ${name}: its main ${problem}`);
    expect(run.completed.join('\n')).toContain(`##[warning]Baton: wrapper ${name}: its post ${problem}`);
    expect(run.job.conclusion).toBe('success');
    expect(run.signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
  });

  it('a wrapper that the job removed', async () => {
    const gone = createAction('gone');
    const run = await hooks.run({
      hooks: { wrappers: [wrapper(createAction('stays')), wrapper(gone)] },
      steps: [`run: rm -r '${gone}'`],
    });
    expect(phasesIn(run.completed)).toEqual(['stays post']);
    expect(problems(run)).toContain('gone/action.yml: the file does not exist');
  });

  it('a wrapper that kills the hook’s process: every post on the stack still runs', async () => {
    const kills = createAction('kills', ALL, { main: `process.kill(process.ppid, 'SIGKILL')` });
    const run = await hooks.run({
      hooks: { wrappers: [wrapper(createAction('first')), wrapper(kills), wrapper(createAction('last'))] },
    });
    expect(phasesIn(run.started)).not.toContain('last main');
    expect(phasesIn(run.completed)).toEqual(['last post', 'kills post', 'first post']);
    expect(run.job.conclusion).toBe('success');
    expect(problems(run)).toContain('the started hook failed');
    expect(run.signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
  });

  it('a job that removes the state file: the completed signal is still sent', async () => {
    const run = await hooks.run({
      hooks: { wrappers: [wrapper(createAction('lost'))] },
      steps: ['run: rm "$(dirname "$BATON_HOOKS")/state.json"'],
    });
    expect(phasesIn(run.completed)).toEqual([]);
    expect(problems(run)).toContain('no post of a wrapper is run');
    expect(run.signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
    rmSync(`${hooks.folder}/lost`, { force: true });
  });
});
