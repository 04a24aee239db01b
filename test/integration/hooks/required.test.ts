import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WrapperSettings } from '../../../contracts/workflows/hook-settings.ts';
import { HookBench, wrapper } from '../../support/hook.ts';

/** Parts of the hooks that an administrator relies on: their failure fails the job although the group's policy is lenient. */

let hooks: HookBench;
let count = 0;

beforeAll(async () => {
  hooks = await HookBench.start();
});
afterAll(() => hooks.dispose());

/** A script of the administrator's in the instance. @returns its path */
function writeScript(text: string): string {
  const folder = join(hooks.folder, 'own');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${++count}.sh`);
  writeFileSync(path, text);
  return path;
}

const ownHooks = (scripts: WrapperSettings['scripts']): WrapperSettings<string> =>
  wrapper('hook-scripts', { required: true, scripts });

/** An action whose main, or post, is a shell script. */
const action = (phase: 'main' | 'post', text: string): string =>
  hooks.action(`action-${++count}`, {
    'action.yml': `runs:\n  using: sh\n  main: ${phase === 'main' ? 'run.sh' : 'nothing.sh'}\n${phase === 'post' ? '  post: run.sh\n' : ''}`,
    'run.sh': text,
    'nothing.sh': 'true\n',
  });

describe('an administrator’s own hook script, under a lenient policy', () => {
  it('fails the job before its first step when the started script fails', async () => {
    const started = writeScript('echo refused by the administrator; exit 3\n');
    const run = await hooks.run({ hooks: { wrappers: [ownHooks({ started })] }, steps: ['run: echo the step ran'] });
    expect(run.started).toContain('refused by the administrator');
    expect(run.job.conclusion).toBe('failure');
    expect(run.own).not.toContain('the step ran');
    expect(run.job.annotations).toContainEqual({
      level: 'failure',
      message: expect.stringMatching(/ended with code 3.*require this hook/),
      title: 'Baton: a job hook failed',
    });
    expect(run.signals.map(({ kind }) => kind)).toEqual(['started', 'completed']);
  });

  it('fails the job when the completed script fails', async () => {
    const completed = writeScript('exit 4\n');
    const run = await hooks.run({ hooks: { wrappers: [ownHooks({ completed })] } });
    expect(run.job.conclusion).toBe('failure');
    expect(run.completed.join('\n')).toContain('its post ended with code 4');
  });

  it('fails the job when the script does not exist', async () => {
    const run = await hooks.run({ hooks: { wrappers: [ownHooks({ started: '/nowhere/hook.sh' })] } });
    expect(run.job.conclusion).toBe('failure');
  });

  it('runs as the runner’s own hook would: first to start and last to end, its variables reach the job', async () => {
    const record = join(hooks.folder, 'record');
    const own = ownHooks({
      started: writeScript(`echo own-started >>${record}; echo "FROM_OWN=yes" >>"$GITHUB_ENV"\n`),
      completed: writeScript(`echo own-completed >>${record}\n`),
    });
    const other = wrapper(action('post', `echo wrapper-post >>${record}\n`));
    const run = await hooks.run({ hooks: { wrappers: [own, other] }, steps: ['run: echo "own says $FROM_OWN"'] });
    expect(run.job.conclusion).toBe('success');
    expect(run.own).toContain('own says yes');
    expect(readFileSync(record, 'utf8').split('\n')).toEqual(['own-started', 'wrapper-post', 'own-completed', '']);
  });
});

describe('a wrapper, under a lenient policy', () => {
  it.each<['main' | 'post', true | undefined, string]>([
    ['main', true, 'failure'],
    ['main', undefined, 'success'],
    ['post', true, 'failure'],
    ['post', undefined, 'success'],
  ])(
    'whose %s fails and whose `required` is %s gives the job the conclusion %s',
    async (phase, required, conclusion) => {
      const failing = wrapper(action(phase, 'exit 5\n'), { required });
      const run = await hooks.run({ hooks: { wrappers: [failing] } });
      expect(run.job.conclusion).toBe(conclusion);
      expect([...run.started, ...run.completed].join('\n')).toContain('ended with code 5');
    },
  );

  it('that is not required and fails costs a required one nothing', async () => {
    const wrappers = [wrapper(action('main', 'exit 5\n')), wrapper(action('main', 'true\n'), { required: true })];
    expect((await hooks.run({ hooks: { wrappers } })).job.conclusion).toBe('success');
  });

  it.each<[true | undefined, string]>([
    [true, 'failure'],
    [undefined, 'success'],
  ])('that cannot be read and whose `required` is %s gives the job the conclusion %s', async (required, conclusion) => {
    const run = await hooks.run({ hooks: { wrappers: [wrapper('/nowhere/action', { required })] } });
    expect(run.job.conclusion).toBe(conclusion);
  });

  it.each<[true | undefined, string]>([
    [true, 'failure'],
    [undefined, 'success'],
  ])(
    'whose `required` is %s: without readable hook settings, the job’s conclusion is %s',
    async (required, conclusion) => {
      const broken = join(hooks.folder, 'broken.json');
      writeFileSync(broken, '{');
      const run = await hooks.run({
        hooks: { wrappers: [wrapper(action('main', 'true\n'), { required })] },
        env: { BATON_HOOKS: broken },
      });
      expect(run.job.conclusion).toBe(conclusion);
    },
  );

  it.each<[true | undefined, string]>([
    [true, 'failure'],
    [undefined, 'success'],
  ])('whose `required` is %s: without a Node, the job’s conclusion is %s', async (required, conclusion) => {
    const run = await hooks.run({
      hooks: { wrappers: [wrapper(action('main', 'true\n'), { required })] },
      env: { BATON_NODE: '/nowhere/node', PATH: hooks.pathWith('sh') },
    });
    expect(run.job.conclusion).toBe(conclusion);
  });
});
