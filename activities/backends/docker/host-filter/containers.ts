import { readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { callEngine } from '../engine.ts';

/** Where the programs lie in their container. */
const FOLDER = 'baton-filter';
const PROGRAMS = ['rules.ts', 'filter-program.ts', 'probe-program.ts'] as const;

/** The label of all that the filter creates for a moment; its value is the installation's name. */
export const FILTER_LABEL = 'baton.filter';

export interface FilterContainer {
  name: string;
  installation: string;
  image: string;
  program: (typeof PROGRAMS)[number];
  env: Record<string, string>;
  /** A network's id, or `host`. */
  network: string;
  capabilities: string[];
  /** Root is needed to change the packet filter. */
  user: string;
}

/** The options of a container that runs one of the filter's programs with Node, and is removed at its end. */
export function toFilterOptions(order: FilterContainer): Docker.ContainerCreateOptions {
  return {
    name: order.name,
    Image: order.image,
    User: order.user,
    Entrypoint: ['node', '--disable-warning=ExperimentalWarning', `/${FOLDER}/${order.program}`],
    Cmd: [],
    WorkingDir: '/',
    Env: Object.entries(order.env).map(([name, value]) => `${name}=${value}`),
    Labels: { [FILTER_LABEL]: order.installation },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: order.network,
      // Root of a mapped user namespace may not change the machine's filter.
      ...(order.network === 'host' && { UsernsMode: 'host' }),
      ExtraHosts: ['host.docker.internal:host-gateway'],
      CapDrop: ['ALL'],
      CapAdd: order.capabilities,
      SecurityOpt: ['no-new-privileges'],
      RestartPolicy: { Name: 'no' },
      // Each ends by itself, also where its worker was killed.
      AutoRemove: true,
      PidsLimit: 100,
      // The lock of the older iptables.
      Tmpfs: { '/run': '' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
    },
  };
}

/** Copies the programs in and starts the container. */
export async function startFilterProgram(
  container: Docker.Container,
  doing: string,
  abort: AbortSignal,
): Promise<void> {
  const archive = pack();
  const content = buffer(archive);
  for (const name of PROGRAMS) {
    archive.entry({ name: `${FOLDER}/${name}`, mode: 0o444 }, readFileSync(new URL(name, import.meta.url)));
  }
  archive.entry({ name: `${FOLDER}/package.json`, mode: 0o444 }, '{"type":"module"}');
  archive.finalize();
  const bytes = await content;
  await callEngine(doing, abort, (abortSignal) => container.putArchive(bytes, { path: '/', abortSignal }), 'retry');
  await callEngine(doing, abort, (abortSignal) => container.start({ abortSignal }), 'retry');
}

/**
 * The first line that the program prints, and what it wrote to standard error until then. Undefined if it ended without one.
 */
export async function readFirstLine(
  docker: Docker,
  container: Docker.Container,
  doing: string,
  abort: AbortSignal,
): Promise<{ line: string | undefined; errors: string }> {
  return callEngine(
    doing,
    abort,
    async (abortSignal) => {
      const stream = await container.logs({ follow: true, stdout: true, stderr: true, abortSignal });
      const [out, error] = [new PassThrough(), new PassThrough()];
      let [text, errors] = ['', ''];
      docker.modem.demuxStream(stream, out, error);
      const end = (): void => void (stream instanceof Readable && stream.destroy());
      abortSignal.addEventListener('abort', end);
      try {
        return await new Promise((resolve, reject) => {
          out.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
            if (text.includes('\n')) resolve({ line: text.slice(0, text.indexOf('\n')), errors });
          });
          error.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
          stream.on('end', () => resolve({ line: undefined, errors }));
          stream.on('error', reject);
          stream.on('close', () => reject(new Error('the engine ended the log early')));
        });
      } finally {
        abortSignal.removeEventListener('abort', end);
        end();
      }
    },
    'retry',
  );
}
