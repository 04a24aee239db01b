import { arch, platform } from 'node:os';

export type ServerName = 'temporal' | 'nats-server';

export interface ServerPlan {
  name: ServerName;
  /** Its name in messages. */
  title: string;
  version: string;
  /** Environment variable with the address of a server that runs already. */
  addressVariable: string;
  versionArgs: string[];
  /** Finds the version in what `versionArgs` print. */
  versionPattern: RegExp;
  /** The oldest version of a program on PATH to use, compared with what `versionPattern` finds. */
  minimum: string;
  /** Address of the vendor's archive, a .tar.gz that contains the program. */
  archiveUrl: string;
  /** SHA-256 of the archive; undefined to take it from the vendor's list at `sumsUrl`. */
  sha256: string | undefined;
  sumsUrl: string;
  goPackage: string;
}

/** This platform in the words that vendors use, such as `linux` and `amd64`. */
export function getPlatform(): { os: string; arch: string } {
  return { os: platform(), arch: arch() === 'x64' ? 'amd64' : arch() };
}

const TEMPORAL_SUMS = new Map([
  ['linux_amd64', 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d'],
  ['linux_arm64', 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5'],
  ['darwin_amd64', 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9'],
  ['darwin_arm64', 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415'],
]);

/** How to get a server program on this platform. */
export function getServerPlan(name: ServerName): ServerPlan {
  const { os, arch } = getPlatform();
  if (name === 'temporal') {
    const release = 'https://github.com/temporalio/cli/releases/download/v1.5.1';
    const archive = `temporal_cli_1.5.1_${os}_${arch}.tar.gz`;
    return {
      name,
      title: 'Temporal',
      version: '1.5.1',
      addressVariable: 'BATON_TEMPORAL_ADDRESS',
      versionArgs: ['--version'],
      // A program built with `go install` calls itself 0.0.0-DEV: the version of its server is the one to compare.
      versionPattern: /Server (\d+\.\d+\.\d+)/,
      minimum: '1.28.0',
      archiveUrl: `${release}/${archive}`,
      sha256: TEMPORAL_SUMS.get(`${os}_${arch}`),
      sumsUrl: `${release}/checksums.txt`,
      goPackage: 'github.com/temporalio/cli/cmd/temporal@v1.5.1',
    };
  }
  const release = 'https://github.com/nats-io/nats-server/releases/download/v2.15.2';
  return {
    name,
    title: 'NATS',
    version: '2.15.2',
    addressVariable: 'BATON_NATS_URL',
    versionArgs: ['--version'],
    versionPattern: /v(\d+\.\d+\.\d+)/,
    // It has scoped signing keys with templates, and the JetStream features that Baton uses.
    minimum: '2.10.0',
    archiveUrl: `${release}/nats-server-v2.15.2-${os}-${arch}.tar.gz`,
    sha256: undefined,
    sumsUrl: `${release}/SHA256SUMS`,
    goPackage: 'github.com/nats-io/nats-server/v2@v2.15.2',
  };
}

/** Whether dotted version `found` is `minimum` or later. */
export function isAtLeast(found: string, minimum: string): boolean {
  const [a, b] = [found, minimum].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
