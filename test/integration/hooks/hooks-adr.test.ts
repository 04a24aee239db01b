import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HookBench, which, wrapper } from '../../support/hook.ts';

let hooks: HookBench;

beforeAll(async () => {
  hooks = await HookBench.start();
});

afterAll(() => hooks.dispose());

/** An action whose main is a shell script. */
const script = (name: string, text: string): string =>
  hooks.action(name, { 'action.yml': 'runs:\n  using: sh\n  main: main.sh\n', 'main.sh': text });

describe('“pwsh (fallback to powershell) or bash (fallback to sh) as appropriate”', () => {
  it.for([
    ['bash', 'sh', '-e {0}'],
    ['sh', 'sh', '-e {0}'],
    ['pwsh', 'ps1', `-command ". '{0}'"`],
    ['powershell', 'ps1', `-command ". '{0}'"`],
  ] as const)('%s', async ([shell, extension, args], context) => {
    context.skip(which(shell) === undefined, `there is no ${shell} on PATH, and no package registry has one`);
    const { started, completed, signals, job } = await hooks.run({
      extension,
      env: { PATH: hooks.pathWith(shell) },
      hooks: { notices: [`under ${shell}`], env: { SHELL_WAS: shell } },
      steps: ['run: echo "$SHELL_WAS"'],
    });
    expect(started.join('\n')).toMatch(new RegExp(`shell: \\S*/${shell} `));
    expect(started.join('\n')).toContain(args);
    expect(completed.join('\n')).toContain(`job-completed.${extension}'`);
    expect(signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
    expect(job.annotations).toEqual([{ level: 'notice', message: `under ${shell}` }]);
    expect(job.conclusion).toBe('success');
  });
});

describe('the promises of the ADR', () => {
  it('“standard default environment variables”: the signals name the job', async () => {
    const { signals, job } = await hooks.run({});
    const expected = {
      runId: job.run.id,
      runAttempt: 1,
      repository: 'octo-org/demo',
      workflow: expect.any(String),
      jobKey: 'build',
    };
    expect(signals).toMatchObject([
      { kind: 'started', job: expected },
      { kind: 'completed', job: expected },
    ]);
  });

  it('“the full webhook event payload from GITHUB_EVENT_PATH”: expressions can refer to it', async () => {
    const folder = hooks.action('event', {
      'action.yml': `inputs:\n  from: { default: "\${{ github.event.repository.full_name }} \${{ github.event.nothing.here }}" }
runs:\n  using: sh\n  main: main.sh\n`,
      'main.sh': 'echo "event of [$INPUT_FROM]"; test -s "$GITHUB_EVENT_PATH"\n',
    });
    const { started } = await hooks.run({ hooks: { wrappers: [wrapper(folder)] } });
    expect(started).toContain('event of [octo-org/demo ]');
  });

  it('“we may need to warn users to swap to a different pool”: notices are annotations of the job', async () => {
    const notices = ['this pool goes away on 1 May, use linux-v2', 'two\nlines'];
    const { job } = await hooks.run({ hooks: { notices } });
    expect(job.annotations).toEqual(notices.map((message) => ({ level: 'notice', message })));
  });

  it('“add a path and set an env … dynamically”: the group’s reach every step of the job', async () => {
    const { own, job } = await hooks.run({
      hooks: { env: { PLAIN: 'a=b', LINES: 'one\ntwo' }, path: ['/first', '/second'] },
      steps: ['run: echo "$PLAIN|$LINES|$PATH"', '{run: echo "later $PLAIN", shell: sh}'],
    });
    expect(own).toContain('a=b|one\ntwo|/second:/first:');
    expect(own).toContain('later a=b');
    expect(job.conclusion).toBe('success');
  });

  it('secrets of the group are masked in the job’s log, each of their lines', async () => {
    const secret = 'first-secret-line\nsecond-secret-line';
    const reads = script('reads', 'echo "wrapper has $INPUT_KEY"\n');
    const { job, own, started } = await hooks.run({
      hooks: { env: { TOKEN: secret }, secrets: [secret], wrappers: [wrapper(reads, { with: { key: secret } })] },
      steps: ['run: echo "job has $TOKEN"'],
    });
    expect(own).toContain('job has ***');
    expect(started).toContain('wrapper has ***');
    const all = JSON.stringify(job.steps.map(({ log }) => log));
    expect(all).not.toContain('first-secret-line');
    expect(all).not.toContain('second-secret-line');
  });

  it('“these hooks always() execute”: the completed one after a failed job, too', async () => {
    const { signals, job } = await hooks.run({ steps: ['run: exit 1'] });
    expect(job.conclusion).toBe('failure');
    expect(signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
  });

  it('“as the Runner user”, in the job’s workspace', async () => {
    const who = script('who', 'echo "user $(id -u) in $PWD of $GITHUB_WORKSPACE"\n');
    const { started } = await hooks.run({ hooks: { wrappers: [wrapper(who)] } });
    const line = started.find((text) => text.startsWith('user ')) ?? '';
    const [, uid, here, workspace] = /^user (\d+) in (\S+) of (\S+)$/.exec(line) ?? [];
    expect(Number(uid)).toBe(userInfo().uid);
    expect(here).toBe(workspace);
  });

  it('“synchronous … may execute a background process”: the job neither waits for it nor ends it early', async () => {
    const background = script('background', 'sleep 300 & echo "LEFT=$!" >> "$GITHUB_ENV"\n');
    const steps = ['run: kill -0 "$LEFT" && echo it lives'];
    const { own, job } = await hooks.run({ hooks: { wrappers: [wrapper(background)] }, steps });
    expect(own).toContain('\nit lives');
    expect(job.conclusion).toBe('success');
  });

  it('debug output appears only with the forge’s own debug switch', async () => {
    const options = { hooks: { env: { A: '1' }, path: ['/p'] } };
    const quiet = await hooks.run(options);
    expect(quiet.started.join('\n')).not.toContain('##[debug]');
    const loud = await hooks.run({ ...options, env: { ACTIONS_STEP_DEBUG: 'true' } });
    expect(loud.started).toContain('##[debug]Baton: the group sets A');
    expect(loud.completed).toContain('##[debug]Baton: job status: success');
  });

  it.each(['bash', 'sh'] as const)(
    '“exit code 0 … proceed, any other fails the job with an annotation”: with strict hooks, under %s',
    async (shell) => {
      const bad = script(`bad-${shell}`, 'exit 4\n');
      const { job, completed, signals } = await hooks.run({
        hooks: { policy: 'strict', wrappers: [wrapper(bad)] },
        env: { PATH: hooks.pathWith(shell) },
        steps: ['run: echo never'],
      });
      expect(job.conclusion).toBe('failure');
      const [annotation] = job.annotations;
      expect(annotation).toMatchObject({ level: 'failure', title: 'Baton: a job hook failed' });
      expect(annotation?.message).toMatch(/wrapper bad-\w+: its main ended with code 4\. What to do: /);
      expect(job.steps.find(({ name }) => name === 'Run echo never')?.conclusion).toBe('skipped');
      expect(completed.join('\n')).not.toContain('##[error]');
      expect(signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
    },
  );

  it('… with lenient hooks, a warning, and the job continues', async () => {
    const bad = script('bad', 'exit 4\n');
    const { job, own } = await hooks.run({ hooks: { wrappers: [wrapper(bad)] }, steps: ['run: echo went on'] });
    expect(own).toContain('went on');
    expect(job.conclusion).toBe('success');
    expect(job.annotations).toEqual([{ level: 'warning', message: 'Baton: wrapper bad: its main ended with code 4' }]);
  });

  it.each([
    ['lenient', 'warning', 'success'],
    ['strict', 'failure', 'failure'],
  ] as const)(
    'a hook that cannot run at all: the %s policy decides what happens to the job',
    async (policy, level, conclusion) => {
      // There is no Node; the settings cannot be read; nothing listens on the socket.
      const cases: [env: Record<string, string>, problem: RegExp][] = [
        [{ BATON_NODE: '/nonexistent', PATH: hooks.pathWith('sh') }, /no Node was found/],
        [{ BATON_HOOKS: '/nonexistent/settings.json' }, /reading hook settings \/nonexistent/],
        [{ BATON_SIGNAL_SOCKET: '/nonexistent/agent.sock' }, /the signal that this job started was not sent/],
      ];
      for (const [env, problem] of cases) {
        const { job } = await hooks.run({ hooks: { policy }, env });
        expect(job.annotations[0]).toMatchObject({ level, message: expect.stringMatching(problem) });
        expect(job.conclusion).toBe(conclusion);
      }
    },
  );
});
