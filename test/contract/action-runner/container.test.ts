import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { expect, it } from 'vitest';
import { acquireLock } from '../../../contracts/lib/file-lock.mjs';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { untilExists } from '../../support/held-script.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { REMOVAL_IN_PROGRESS, removeFromEngine, whyNoDocker } from '../../support/docker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { expectExit, startActionRunner } from './action-runner-process.ts';
import { actionRunnerContract } from './suite.ts';

const IMAGE = 'baton-test-action';
const docker = new Docker();

async function image(): Promise<string> {
  // Test files run in parallel, and of two imports with one name, one would lose it.
  const lock = await acquireLock(join(tmpdir(), `${IMAGE}.lock`));
  try {
    await buildInstanceImage(docker, IMAGE);
  } finally {
    lock.release();
  }
  return IMAGE;
}

/** How often each container was started, by its own output. */
const started = new Map<string, number>();

const LASTS = `echo started; ${untilExists('/tmp/go')}`;

const absent = await whyNoDocker();

const mine = `c${randomUUID().slice(0, 8)}`;
const containers = async (filter: string): Promise<Docker.ContainerInfo[]> =>
  docker.listContainers({ all: true, filters: { name: [filter] } });

actionRunnerContract(
  'container',
  {
    lasting: async () => {
      const base = { image: await image(), user: '1001:1001' };
      const script = (text: string) => ({ ...base, entrypoint: ['sh', '-c'], command: [text] });
      return {
        newName: () => `${mine}-${randomUUID().slice(0, 8)}`,
        succeeds: () => script('echo "hello from $RUNNER_CONTEXT_NAME"'),
        fails: () => ({ input: script('exit 3'), message: /the container ended with code 3/ }),
        lasts: () => script(LASTS),
        unstartable: () => ({
          input: { ...base, image: 'baton-no-such-image' },
          message: /creating container .* of image baton-no-such-image/,
        }),
        wrong: () => ({ input: { ...base, user: 'root' }, field: 'user' }),
        left: async (name) => (await containers(`^/${name}$`)).map(({ Status: status }) => status),
        starts: async (name) => started.get(name) ?? 0,
        finish: async (name) => {
          started.set(name, String(await docker.getContainer(name).logs({ stdout: true })).split('started').length - 1);
          const exec = await docker.getContainer(name).exec({ Cmd: ['touch', '/tmp/go'] });
          await exec.start({});
        },
        stop: () => removeFromEngine(docker, { name: [`^/${mine}`] }),
      };
    },
  },
  absent,
);

describeUnless(absent, 'a container of an action', () => {
  it('has no privileges, gets its secrets, which are masked, and nothing else of the Manager’s environment', async () => {
    const folder = temporaryFolder('container-action');
    const name = `${mine}-limits`;
    const command = startActionRunner('container', {
      folder: folder.path,
      name,
      input: {
        image: await image(),
        entrypoint: ['sh', '-c'],
        command: [
          'id -u; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status; echo "secret $DEPLOY_KEY $OTHER."; ' +
            'ls /var/run/docker.sock; exit 0',
        ],
        user: '1001',
        secrets: ['DEPLOY_KEY'],
      },
      env: { DEPLOY_KEY: 'a-key-of-the-test', OTHER: 'another' },
    });
    await expectExit(command, 0);
    const output = command.output().replaceAll('\t', ' ');
    expect(output).toContain('1001\nNoNewPrivs: 1\n'.slice(0, 5));
    expect(output).toContain('CapEff: 0000000000000000\n');
    expect(output).toContain('NoNewPrivs: 1\n');
    expect(output).toContain('secret *** .\n');
    expect(output + command.log()).not.toContain('a-key-of-the-test');
    expect(output).not.toMatch(/^\/var\/run\/docker\.sock$/m);
    folder.remove();
  });

  it('fails and leaves the other container alone when its name is taken', async () => {
    const folder = temporaryFolder('container-conflict');
    const name = `${mine}-taken`;
    const taken = await docker.createContainer({ name, Image: await image(), Entrypoint: ['sleep', '1000'] });
    try {
      await taken.start();
      const command = startActionRunner('container', {
        folder: folder.path,
        name,
        input: { image: await image(), command: ['true'] },
      });
      await expectExit(command, 1);
      expect(command.log()).toContain('INSTANCE_CONFLICT');
      expect((await taken.inspect()).State.Running).toBe(true);
    } finally {
      await taken.remove({ force: true });
      folder.remove();
    }
  });

  it('takes a removal that is already in progress for its own', async () => {
    const folder = temporaryFolder('container-removal');
    const name = `${mine}-removed`;
    const proxy = await startFaultProxy('/var/run/docker.sock', undefined, join(folder.path, 'docker.sock'));
    try {
      const removing = proxy.inject({
        when: ({ method, path }) => method === 'DELETE' && path.startsWith('/containers/'),
        fault: { kind: 'answer-after', answer: REMOVAL_IN_PROGRESS },
      });
      const command = startActionRunner('container', {
        folder: folder.path,
        name,
        input: { image: await image(), entrypoint: ['true'], socket: proxy.address },
      });
      await expectExit(command, 0);
      await removing.hit;
      expect(command.log()).not.toContain('removing the container');
      expect(await containers(`^/${name}$`)).toEqual([]);
    } finally {
      await proxy.close();
      folder.remove();
    }
  });
});
