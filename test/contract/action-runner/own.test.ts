import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/cleanup.ts';
import { expectExit, startActionRunner } from './action-runner-process.ts';
import { actionRunnerContract } from './suite.ts';

const { path: folder, remove } = temporaryFolder('own-action-runner');
afterAll(remove);

// The example of the documentation, byte for byte.
const page = readFileSync(
  fileURLToPath(new URL('../../../deploy/docs/guides/action-runners.md', import.meta.url)),
  'utf8',
);
const file = join(folder, 'file.mjs');
writeFileSync(file, /```js\n(.*?)```/s.exec(page)?.[1] ?? '');
symlinkSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(folder, 'node_modules'));

actionRunnerContract(file, {
  short: async () => ({
    succeeds: (name) => {
      writeFileSync(join(folder, name), `hello from ${name}`);
      return { file: join(folder, name) };
    },
    fails: (name) => ({ input: { file: join(folder, name), seconds: 0.2 }, message: /did not come/ }),
    lasts: (name) => ({ file: join(folder, name) }),
    unstartable: () => ({ input: { file: '/nonexistent/file' }, message: /nonexistent/ }),
    wrong: () => ({ input: { file: '' }, field: 'file' }),
    left: async () => [],
    stop: async () => undefined,
  }),
});

describe('the messages of baton action-runner', () => {
  const env = { RUNNER_CONTEXT_PLATFORM_NAMESPACE: 'ci' };

  it('sends no reports for an action runner from a file', async () => {
    writeFileSync(join(folder, 'there'), 'text');
    const command = startActionRunner(file, { folder, input: { file: join(folder, 'there') }, env });
    // Reporting to a ConfigMap would fail here, and leave a warning in the log.
    await expectExit(command, 0);
    expect(command.log()).not.toContain('ConfigMap');
  });

  it.each([
    ['for an unknown name', 'flux', /flux: unknown\. Use one of github-actions, .*, or a \.ts or \.js file/],
    ['for a file that does not exist', './missing.mjs', /loading action runner \.\/missing\.mjs/],
    [
      'for a file that exports something else',
      fileURLToPath(new URL('processes.ts', import.meta.url)),
      /is not an ActionRunner/,
    ],
  ])('exits with 1 and explains the problem %s', async (_what, runner, message) => {
    const command = startActionRunner(runner, { folder, input: {} });
    await expectExit(command, 1);
    expect(command.log()).toMatch(message);
  });

  it('names all wrong variables at once, and does not quote a manifest that is neither YAML nor JSON', async () => {
    const bad = { RUNNER_CONTEXT_NAME: 'No Name', RUNNER_TIMEOUT: '10 minutes', RUNNER_LOGGER_DEV_MODE: 'maybe' };
    const command = startActionRunner('shell', { folder, input: {}, env: bad });
    await expectExit(command, 1);
    for (const name of Object.keys(bad)) expect(command.log()).toContain(name);
    const broken = join(folder, 'broken.yaml');
    writeFileSync(broken, 'password: "hunter2\n  - x: [');
    const second = startActionRunner('shell', { folder, input: {}, env: { RUNNER_INPUT_MANIFEST_PATH: broken } });
    await expectExit(second, 1);
    expect(second.log()).toContain('neither YAML nor JSON');
    expect(second.log()).not.toContain('hunter2');
  });

  it('writes a log for people with RUNNER_LOGGER_DEV_MODE, and accepts durations in Go’s notation', async () => {
    const more = { RUNNER_LOGGER_DEV_MODE: 'true', RUNNER_TIMEOUT: '1h2m3.5s' };
    const command = startActionRunner('shell', { folder, input: { script: 'echo working' }, env: more });
    await expectExit(command, 0);
    expect(command.output()).toBe('working\n');
    expect(command.log()).toMatch(/^\d\d:\d\d:\d\d DEBUG +action started action=\S+ status=\{"pid":\d+\}$/m);
    expect(command.log()).toMatch(/^\d\d:\d\d:\d\d INFO +the script ended with code 0/m);
  });
});
