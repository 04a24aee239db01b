import { readFileSync } from 'node:fs';
import type { CloudBootstrap } from '../../../contracts/config/cloud.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { InstanceSpec, RenderUserData } from '../../../contracts/ports/backend.ts';
import { toBootstrapFile } from '../bootstrap-file.ts';

/** EC2's limit for user data. Compute Engine's is larger. */
const MAX_BYTES = 16_384;

/** The agent ends itself at the end of the runner's time to live; the machine powers off this many seconds later. */
const TTL_MARGIN_S = 120;
/** How many seconds the machine retries its downloads: the agent from an ingress, and the runner's release. */
const START_TIMEOUT_S = 900;

export interface UserDataOptions {
  cloud: 'ec2' | 'gce';
  config: CloudBootstrap;
  /** SHA-256 of the agent's archive, hex. An ingress of the same version serves this archive. */
  agentSha256: string;
  /** Whether the cloud may take the machine back: then the machine watches for the notice. */
  spot: boolean;
}

/**
 * Makes the renderer of the script that a cloud's machine runs as root when it boots: settings, the bootstrap file,
 * then bootstrap.sh without its comments. The script has to hold the runner's own NATS credential; the cloud shows it
 * to everyone who may read the instance's metadata.
 *
 * @returns a function that throws BatonError INSTANCE_INVALID for values that are unsafe in a shell, and above 16 kB
 */
export function createUserDataRenderer({ cloud, config, agentSha256, spot }: UserDataOptions): RenderUserData {
  const script = removeComments(readFileSync(new URL('bootstrap.sh', import.meta.url), 'utf8'));
  return (spec, bootstrap) => {
    const left = Math.ceil((new Date(spec.expiresAt).getTime() - Date.now()) / 1000);
    const settings = {
      BATON_RUNNER: spec.runner,
      BATON_CLOUD: cloud,
      BATON_USER: spec.user,
      BATON_PROGRAM_DIRECTORY: requirePlainPath(spec),
      BATON_PROGRAM: spec.program.command === undefined ? 'directory' : 'command',
      BATON_AGENT_URL: `${config.ingress_url}/agent/${agentSha256}.tar`,
      BATON_AGENT_SHA256: agentSha256,
      BATON_RELEASE_URL: config.runner_release?.url ?? '',
      BATON_RELEASE_SHA256: config.runner_release?.sha256 ?? '',
      BATON_BLOCK_METADATA: config.block_metadata ? '1' : '0',
      BATON_SPOT: spot ? '1' : '0',
      BATON_START: String(START_TIMEOUT_S),
      BATON_TTL: String(Math.max(left, 0) + TTL_MARGIN_S),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(value)}`);
    const file = JSON.stringify(toBootstrapFile(spec, bootstrap, '/run/baton/agent/agent.sock'));
    const text = `#!/bin/sh\n${lines.join('\n')}\nbaton_bootstrap() {\n  printf %s ${quote(file)}\n}\n${script}`;
    if (Buffer.byteLength(text) <= MAX_BYTES) return text;
    const message = `rendering user data of ${spec.runner}: ${Buffer.byteLength(text)} bytes, above the limit of ${MAX_BYTES}`;
    throw new BatonError('INSTANCE_INVALID', message);
  };
}

/** The path is used in lists of NAME=VALUE, where a space would begin the next entry. */
function requirePlainPath({ runner, program: { directory } }: InstanceSpec): string {
  if (/^\/[\w./@+-]*$/.test(directory)) return directory;
  const message = `rendering user data of ${runner}: runner.directory "${directory}" is not an absolute path of plain characters`;
  throw new BatonError('INSTANCE_INVALID', message);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A machine's user data has little room. */
function removeComments(script: string): string {
  return script
    .split('\n')
    .filter((line) => !/^\s*#(?!!)/.test(line) && line !== '')
    .join('\n');
}
