import { describe, expect, it } from 'vitest';
import { createRunnerEnvironment } from '../../../../services/proxy/runner-environment.ts';

const SECRETS = {
  RUNNER_TOKEN: 'x1',
  BATON_REGISTRATION_TOKEN: 'x2',
  ACTIONS_RUNNER_INPUT_TOKEN: 'x3',
  BATON_PROXY_TOKEN_FILE: 'x4',
  DB_PASS: 'x5',
  HOME: '/root',
};
const options = {
  directory: '/opt/runner',
  share: ['TEAM_*', 'NPM_*'],
  hook: '/state/hooks/job-started.sh',
  socket: '/state/proxy.sock',
  user: { name: 'runner', uid: 1001, gid: 1001 },
};

describe('the environment of the forge’s runner on a proxy', () => {
  it('has no secret and no variable of the proxy’s own but those that are shared', () => {
    const passed = {
      PATH: '/bin',
      LANG: 'C',
      LC_ALL: 'C',
      https_proxy: 'http://p:1',
      NO_PROXY: 'a',
      RUNNER_ARCH: 'X64',
    };
    const shared = { TEAM_NAME: 'core' };
    expect(createRunnerEnvironment({ ...SECRETS, ...passed, ...shared, NPM_TOKEN: 'x6' }, options)).toEqual({
      ...passed,
      ...shared,
      HOME: '/opt/runner/_work',
      USER: 'runner',
      LOGNAME: 'runner',
      ACTIONS_RUNNER_HOOK_JOB_STARTED: '/state/hooks/job-started.sh',
      BATON_PROXY_SOCKET: '/state/proxy.sock',
      BATON_NODE: process.execPath,
      RUNNER_MANUALLY_TRAP_SIG: '1',
    });
  });

  it('keeps its home where jobs run as the proxy’s own user, and the hook that the proxy sets', () => {
    const env = { HOME: '/home/me', USER: 'me', ACTIONS_RUNNER_HOOK_JOB_STARTED: '/own.sh' };
    expect(createRunnerEnvironment(env, { ...options, user: undefined })).toMatchObject({
      HOME: '/home/me',
      USER: 'me',
      ACTIONS_RUNNER_HOOK_JOB_STARTED: '/state/hooks/job-started.sh',
    });
  });
});
