import Docker from 'dockerode';
import { getDockerStatus } from '../../contracts/lib/docker-status.ts';
import type { Answer } from './fault-proxy.ts';
import { until } from './until.ts';

let answers: Promise<boolean> | undefined;

/** Whether this machine's Docker engine answers. */
export function isDockerAvailable(): Promise<boolean> {
  answers ??= new Docker().ping().then(
    () => true,
    () => false,
  );
  return answers;
}

/** Why tests that need a Docker engine are skipped; undefined where one answers. */
export async function whyNoDocker(): Promise<string | undefined> {
  return (await isDockerAvailable()) ? undefined : 'no Docker engine answers';
}

/** What the engine answers when a container is removed for the second time before the first removal has ended. */
export const REMOVAL_IN_PROGRESS: Answer = {
  status: 409,
  headers: { 'content-type': 'application/json' },
  body: '{"message":"removal of container is already in progress"}',
};

/** Removes the stages of an image's build, which have no name, by the title of the image. */
export async function pruneBuildStages(docker: Docker, title: string): Promise<void> {
  const filters = { dangling: ['true'], label: [`org.opencontainers.image.title=${title}`] };
  // The engine refuses a second one at the same time.
  await docker.pruneImages({ filters }).catch(() => undefined);
}

/** Removes all containers and networks that the filters match; resolves when they are gone, whoever removed them. */
export async function removeFromEngine(docker: Docker, filters: { label?: string[]; name?: string[] }): Promise<void> {
  const removal = async (removed: Promise<unknown>): Promise<void> => {
    await removed.catch((error: unknown) => {
      // 404: it is gone. 409: the engine is removing it already. 403: its container is not detached yet.
      if (![403, 404, 409].includes(getDockerStatus(error) ?? 0)) throw error;
    });
  };
  await until(
    async () => {
      const containers = await docker.listContainers({ all: true, filters });
      for (const { Id: id } of containers) await removal(docker.getContainer(id).remove({ force: true, v: true }));
      const networks = await docker.listNetworks({ filters: { ...filters, type: ['custom'] } });
      for (const { Id: id } of networks) await removal(docker.getNetwork(id).remove());
      return containers.length + networks.length === 0;
    },
    { what: `no container or network has ${JSON.stringify(filters)}` },
  );
}
