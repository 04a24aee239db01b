import { processesWith } from './processes.ts';
import { actionRunnerContract } from './suite.ts';

actionRunnerContract('shell', {
  short: async () => ({
    succeeds: () => ({ script: 'echo "hello from $RUNNER_CONTEXT_NAME"', shell: 'bash' }),
    fails: () => ({ input: { script: 'false; echo never' }, message: /the script ended with code 1/ }),
    // It ignores SIGTERM, and has a child.
    lasts: () => ({ script: `trap '' TERM; sleep 303 & while :; do sleep 0.1; done` }),
    unstartable: () => ({
      input: { script: 'true', directory: '/nonexistent' },
      message: /starting sh in \/nonexistent/,
    }),
    wrong: () => ({ input: { script: 'touch /nonexistent', shell: 'fish' }, field: 'shell' }),
    left: async (name) => processesWith(`RUNNER_CONTEXT_NAME=${name}`),
    stop: async () => undefined,
  }),
});
