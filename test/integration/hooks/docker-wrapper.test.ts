import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { HookBench, wrapper } from '../../support/hook.ts';

const IMAGE = 'baton-test-instance';
const hasCli = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'docker')));
const absent = hasCli ? await whyNoDocker() : 'no docker program on PATH';

let hooks: HookBench;

beforeAll(async () => {
  hooks = await HookBench.start();
  if (absent === undefined) await buildInstanceImage(new Docker(), IMAGE);
});

afterAll(() => hooks.dispose());

/** A docker action that runs this script in a shell in every phase. */
function dockerAction(name: string, image: string, script: string): string {
  return hooks.action(name, {
    'action.yml': `inputs: { who: { default: world } }
runs:
  using: docker
  image: ${image}
  pre-entrypoint: /bin/sh
  entrypoint: /bin/sh
  post-entrypoint: /bin/sh
  args: ['-c', ${JSON.stringify(script)}, 'name of \${{ inputs.who }}']
  env: { OWN: 'of \${{ github.job }}' }
`,
    Dockerfile: `FROM ${IMAGE}\nUSER 0\n`,
  });
}

describeUnless(absent, 'a docker wrapper', () => {
  it('runs pre-entrypoint, entrypoint and post-entrypoint in its image, with the job’s workspace and files', async () => {
    const folder = dockerAction(
      'in-docker',
      'Dockerfile',
      `echo "$BATON_WRAPPER_PHASE in $PWD by $0, $OWN, state [$STATE_kept]"
test -s "$GITHUB_EVENT_PATH" && echo "kept=by $BATON_WRAPPER_PHASE" >> "$GITHUB_STATE"
echo "FROM_CONTAINER=$INPUT_WHO" >> "$GITHUB_ENV"; touch "$GITHUB_WORKSPACE/made"`,
    );
    const { started, completed, own, job } = await hooks.run({
      hooks: { wrappers: [wrapper(folder, { with: { who: 'you' }, timeoutMs: 100_000 })] },
      steps: ['run: ls; echo "from $FROM_CONTAINER"'],
    });
    const where = 'in /github/workspace by name of you, of build, state';
    expect(started).toContain(`pre ${where} []`);
    expect(started).toContain(`main ${where} [by pre]`);
    expect(completed).toContain(`post ${where} [by main]`);
    expect(own).toContain('\nmade\nfrom you');
    expect(job.conclusion).toBe('success');
    const tag = `baton-wrapper-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`;
    execFileSync('docker', ['image', 'rm', '--force', tag], { stdio: 'ignore' });
  });

  it('is removed from the engine when it reaches its timeout', async () => {
    const mark = `hang-${randomUUID().slice(0, 8)}`;
    const folder = dockerAction(mark, `docker://${IMAGE}`, 'trap "" TERM; sleep 300');
    const { started, job } = await hooks.run({ hooks: { wrappers: [wrapper(folder, { timeoutMs: 10_000 })] } });
    expect(started.join('\n')).toContain(`wrapper ${mark}: its pre did not end within 10 s and was stopped`);
    const left = await new Docker().listContainers({ all: true, filters: { name: [`baton-${mark}`] } });
    expect(left).toEqual([]);
    expect(job.conclusion).toBe('success');
  });

  it('docker-prune removes only what matches its filter', async () => {
    const label = `baton-test-${randomUUID().slice(0, 8)}`;
    const create = (...args: string[]): string =>
      execFileSync('docker', ['create', ...args, IMAGE, 'true'], { encoding: 'utf8' }).trim();
    const [gone, kept] = [create('--label', label), create('--label', `${label}-other`)];
    try {
      const { completed } = await hooks.run({
        hooks: { wrappers: [wrapper('docker-prune', { with: { filter: `label=${label}` } })] },
      });
      expect(completed.join('\n')).toContain(gone);
      const found = await new Docker().listContainers({ all: true, filters: { label: [`${label}-other`] } });
      expect(found.map(({ Id: id }) => id)).toEqual([kept]);
      expect(await new Docker().listContainers({ all: true, filters: { label: [label] } })).toEqual([]);
    } finally {
      execFileSync('docker', ['rm', '--force', kept], { stdio: 'ignore' });
    }
  });
});

describe('a docker wrapper where there is no engine', () => {
  it.each([
    ['no CLI', () => hooks.pathWith('sh'), 'there is no docker CLI on PATH'],
    ['no engine', () => process.env['PATH'] ?? '', 'no engine answers'],
  ])('warns and runs the next wrapper: %s', async (_what, path, problem) => {
    const folder = dockerAction('nowhere', `docker://${IMAGE}`, 'true');
    const { started, job } = await hooks.run({
      hooks: { wrappers: [wrapper(folder), wrapper(hooks.action('next', NEXT))] },
      env: { PATH: path(), DOCKER_HOST: 'unix:///nonexistent.sock' },
    });
    expect(started.join('\n')).toContain(
      `##[warning]Baton: wrapper nowhere: it needs docker, and ${hasCli ? problem : 'there is no docker CLI on PATH'}`,
    );
    expect(started).toContain('next runs');
    expect(job.conclusion).toBe('success');
  });
});

const NEXT = { 'action.yml': 'runs: { using: node24, main: main.js }', 'main.js': `console.log('next runs')` };
