import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runWrapperAction } from '../../../hooks/job-hooks/wrappers/run-standalone.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const folder = temporaryFolder('standalone');
afterAll(() => folder.remove());

function action(name: string, main: string): string {
  const path = join(folder.path, name);
  mkdirSync(path);
  writeFileSync(join(path, 'action.yml'), 'runs:\n  using: sh\n  pre: pre.sh\n  main: main.sh\n  post: post.sh\n');
  writeFileSync(join(path, 'pre.sh'), 'echo "SHARED=pre" >> "$GITHUB_ENV"; echo "kept=1" >> "$GITHUB_STATE"\n');
  writeFileSync(join(path, 'main.sh'), main);
  writeFileSync(join(path, 'post.sh'), 'echo "post $STATE_kept $SHARED"\n');
  return path;
}

async function run(path: string, abort = new AbortController()) {
  const lines: string[] = [];
  const onOutput = (line: string): void => {
    lines.push(line);
    if (line === 'hanging') abort.abort();
  };
  const env = { PATH: process.env['PATH'] ?? '' };
  const options = { folder: path, inputs: { who: 'you' }, env, timeoutMs: 60_000, signal: abort.signal, onOutput };
  return { ...(await runWrapperAction(options)), lines };
}

describe('one action without a job', () => {
  it('runs its phases, each with the state of the one before, and returns its outputs', async () => {
    const path = action('good', 'echo "main $SHARED $INPUT_WHO"; echo "answer=42" >> "$GITHUB_OUTPUT"\n');
    expect(await run(path)).toEqual({
      succeeded: true,
      problems: [],
      outputs: { answer: '42' },
      lines: ['main pre you', 'post 1 pre'],
    });
  });

  it('runs its post after a failed main, and returns what failed', async () => {
    const ran = await run(action('bad', 'exit 7\n'));
    expect(ran).toMatchObject({ succeeded: false, lines: ['post 1 pre'] });
    expect(ran.problems).toEqual(['wrapper wrapper: its main ended with code 7']);
  });

  it('is stopped by its signal, and then runs its post', async () => {
    const ran = await run(action('hangs', 'echo hanging; exec sleep 300\n'));
    expect(ran).toMatchObject({ succeeded: false, lines: ['hanging', 'post 1 pre'] });
    expect(ran.problems).toEqual(['wrapper wrapper: its main was stopped']);
  });
});
