import { fileURLToPath } from 'node:url';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { pruneBuildStages, whyNoDocker } from '../../support/docker.ts';

/** The image of a proxy, on a base that has what GitHub's runner image has: sudo, docker, and a user in both groups. */

const ROOT = `baton-test-proxy-root-${process.pid}`;
const BASE = `baton-test-proxy-base-${process.pid}`;
const IMAGE = `baton-test-proxy-${process.pid}`;
const GROUPS = 'root:x:0:\nsudo:x:27:runner\nadmins:x:28:someone,runner\ndocker:x:123:runner\nrunner:x:1001:\n';

/** Prints the ways in which the container's user has, or can get, more rights than its own. */
const SEARCH = `
for group in $(id -Gn); do echo group $group; done
for folder in /opt/runner /home/runner; do
  for file in $folder $folder/run.sh $folder/config.sh; do [ -w $file ] && echo writes $file; done
done
for file in /entrypoint.sh /app /app/services/proxy/main.ts /usr/local/bin/node; do [ -w $file ] && echo writes $file; done
for program in sudo docker su; do command -v $program; done
find / -xdev -type f -perm /6000 2>/dev/null
[ -e /etc/sudoers ] && echo sudoers
[ -x /opt/runner/run.sh ] && echo has a runner
[ -r /app/services/proxy/main.ts ] && echo has a proxy
true`;

describeUnless(await whyNoDocker(), 'the image of a proxy', () => {
  const docker = new Docker();
  const folder = temporaryFolder('proxy-image');

  async function build(context: string, t: string, buildargs: Record<string, string>): Promise<void> {
    const building = await docker.buildImage({ context, src: ['.'] }, { t, buildargs });
    await new Promise<void>((done, reject) => {
      docker.modem.followProgress(building, (error) => (error === null ? done() : reject(error)));
    });
  }

  beforeAll(async () => {
    const program = '#!/bin/sh\n';
    await buildInstanceImage(docker, ROOT, {
      files: [
        { path: '/etc/group.github', content: GROUPS },
        { path: '/etc/sudoers', content: '%sudo ALL=(ALL:ALL) NOPASSWD:ALL\n' },
        { path: '/usr/bin/sudo', content: program, mode: 0o4755 },
        { path: '/usr/bin/other', content: program, mode: 0o2755 },
        { path: '/usr/bin/docker', content: program, mode: 0o755 },
        { path: '/home/runner/run.sh', content: program, mode: 0o755 },
        { path: '/home/runner/config.sh', content: program, mode: 0o777 },
        // What is copied from Baton's own image.
        { path: '/usr/local/bin/node', content: '#!/bin/sh\nexec /usr/bin/node "$@"\n', mode: 0o755 },
        { path: '/app/services/proxy/main.ts', content: 'console.log("proxy", ...process.argv.slice(2));\n' },
      ],
    });
    folder.write('Dockerfile', `FROM ${ROOT}\nUSER 0:0\nRUN cat /etc/group.github > /etc/group\nUSER runner\n`);
    await build(folder.path, BASE, {});
    const context = fileURLToPath(new URL('../../../deploy/images/proxy-runner', import.meta.url));
    await build(context, IMAGE, { BATON_IMAGE: BASE, RUNNER_IMAGE: BASE });
  }, 300_000);
  afterAll(async () => {
    folder.remove();
    for (const image of [IMAGE, BASE, ROOT]) {
      await docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => undefined);
    }
    await pruneBuildStages(docker, 'baton-proxy');
  }, 60_000);

  /** Runs a container to its end. @returns the lines that it printed */
  async function run(image: string, options: Docker.ContainerCreateOptions): Promise<string[]> {
    // With a terminal, the output is one stream.
    const container = await docker.createContainer({ Image: image, Tty: true, ...options });
    try {
      await container.start();
      await container.wait();
      return (await container.logs({ stdout: true, stderr: true })).toString().trim().split(/\r?\n/);
    } finally {
      await container.remove({ force: true });
    }
  }

  it('gives its jobs’ user no group, no sudo, no docker, no setuid program, and no program that it can change', async () => {
    const search = { User: 'runner', Entrypoint: ['/bin/sh', '-c'], Cmd: [SEARCH] };
    expect(await run(BASE, search), 'the base has it all').toEqual(
      expect.arrayContaining([
        'group sudo',
        'group docker',
        'group admins',
        'writes /home/runner',
        'writes /home/runner/config.sh',
        '/usr/bin/sudo',
        '/usr/bin/docker',
        '/usr/bin/other',
        'sudoers',
      ]),
    );
    expect(await run(IMAGE, search)).toEqual(['group runner', 'has a runner', 'has a proxy']);
  });

  it('starts the proxy as root, with the folders that only root writes to', async () => {
    const [line = ''] = await run(IMAGE, { Cmd: ['--labels', 'team'] });
    expect(line).toBe(
      'proxy --directory /opt/runner --state /var/lib/baton-proxy --host 0.0.0.0 --port 8080 --labels team',
    );
    const { Config: config } = await docker.getImage(IMAGE).inspect();
    expect(config.User).toMatch(/^0(:0)?$/);
    expect(config.Env.filter((entry) => entry.includes('TOKEN'))).toEqual([]);
  });
});
