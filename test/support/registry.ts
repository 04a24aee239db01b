import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** A registry of images on the loopback interface, which a Docker engine takes without TLS. */
export interface TestRegistry {
  /** `127.0.0.1:port`; with `/NAME:latest` behind it, for any name, the reference of a small Linux image with a shell. */
  readonly address: string;
  /** The repositories whose layer was requested, one entry per request, oldest first. */
  readonly requested: readonly string[];
  /** From now on only half of the repository's layer is sent, until the function is called that this returns. */
  hold(repository: string): () => void;
  close(): Promise<void>;
}

interface Blob {
  digest: string;
  content: Buffer;
}

interface Image {
  layer: Blob;
  config: Blob;
  manifest: Blob;
}

const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

export async function startRegistry(): Promise<TestRegistry> {
  const images = new Map<string, Promise<Image>>();
  const held = new Map<string, Promise<void>>();
  const requested: string[] = [];

  function find(repository: string): Promise<Image> {
    const image = images.get(repository) ?? buildImage(repository);
    images.set(repository, image);
    return image;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, repository, kind, name] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? ([] as string[]);
    if (repository === undefined) {
      response.writeHead(200, { 'docker-distribution-api-version': 'registry/2.0' }).end('{}');
      return;
    }
    const image = await find(repository);
    const blob =
      kind === 'manifests'
        ? image.manifest
        : [image.config, image.layer].find(({ digest }) => digest === name && kind === 'blobs');
    if (blob === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': kind === 'manifests' ? MANIFEST_TYPE : 'application/octet-stream',
      'content-length': blob.content.length,
      'docker-content-digest': blob.digest,
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    if (blob === image.layer) {
      const half = blob.content.subarray(0, blob.content.length / 2);
      requested.push(repository);
      response.write(half);
      await held.get(repository);
      response.end(blob.content.subarray(half.length));
      return;
    }
    response.end(blob.content);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return {
    address: `127.0.0.1:${typeof bound === 'object' ? bound?.port : ''}`,
    requested,
    hold: (repository) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(repository, promise);
      return resolve;
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** This machine's shell with its libraries, and a file with the repository's name: no two repositories share their layer. */
async function buildImage(repository: string): Promise<Image> {
  const archive = pack();
  const tar = buffer(archive);
  const libraries = execFileSync('ldd', ['/bin/sh'], { encoding: 'utf8' }).matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm);
  for (const path of ['/bin/sh', ...[...libraries].map(([, library = '']) => library)])
    archive.entry({ name: path.slice(1), mode: 0o755 }, readFileSync(realpathSync(path)));
  archive.entry({ name: 'repository' }, repository);
  archive.finalize();
  const plain = await tar;
  const layer = toBlob(gzipSync(plain, { level: 1 }));
  const config = toBlob({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [toBlob(plain).digest] },
  });
  const describe = (type: string, { digest, content }: Blob): object => ({
    mediaType: `application/vnd.docker.${type}`,
    size: content.length,
    digest,
  });
  const manifest = toBlob({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: describe('container.image.v1+json', config),
    layers: [describe('image.rootfs.diff.tar.gzip', layer)],
  });
  return { layer, config, manifest };
}

function toBlob(value: Buffer | object): Blob {
  const content = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
  return { digest: `sha256:${createHash('sha256').update(content).digest('hex')}`, content };
}
