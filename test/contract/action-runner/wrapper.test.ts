import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../support/cleanup.ts';
import { processesWith } from './processes.ts';
import { actionRunnerContract } from './suite.ts';

/** An action that greets, and then ends, fails or hangs, depending on its input; its post prints a line. */
const ACTION = `
name: example
inputs:
  how: { default: end }
runs:
  using: node24
  pre: pre.mjs
  main: main.mjs
  post: post.mjs
`;
const MAIN = `
console.log('hello from ' + process.env.RUNNER_CONTEXT_NAME);
if (process.env.INPUT_HOW === 'fail') process.exit(3);
if (process.env.INPUT_HOW === 'stay') setInterval(() => undefined, 1000);
`;

actionRunnerContract('wrapper', {
  short: async () => {
    const { path: folder, remove } = temporaryFolder('wrapper-action');
    const action = join(folder, 'example');
    mkdirSync(action);
    writeFileSync(join(action, 'action.yml'), ACTION);
    writeFileSync(join(action, 'pre.mjs'), '');
    writeFileSync(join(action, 'main.mjs'), MAIN);
    writeFileSync(join(action, 'post.mjs'), 'console.log("post ran")');
    return {
      succeeds: () => ({ folder: action }),
      fails: () => ({ input: { folder: action, with: { how: 'fail' } }, message: /its main ended with code 3/ }),
      lasts: () => ({ folder: action, with: { how: 'stay' } }),
      unstartable: () => ({ input: { folder: join(folder, 'none') }, message: /none/ }),
      wrong: () => ({ input: { folder: action, with: 'how' }, field: 'with' }),
      left: async (name) => processesWith(`RUNNER_CONTEXT_NAME=${name}`),
      lastWords: 'post ran',
      stop: async () => remove(),
    };
  },
});
