import type Docker from 'dockerode';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';
import { DOCKER_LABELS } from './engine.ts';

/** Where the agent lives in a container. */
export const AGENT_FOLDER = '/baton';

export const BOOTSTRAP_NAME = 'bootstrap.json';

/**
 * The user and group of an instance as numbers. The default group is the user's number: the engine would choose root's
 * group for a user that the image doesn't define.
 *
 * @throws BatonError INSTANCE_INVALID for root, and for names, which an image can map to root
 */
export function parseUser(spec: InstanceSpec): { uid: number; gid: number } {
  const match = /^(\d+)(?::(\d+))?$/.exec(spec.user);
  const uid = Number(match?.[1] ?? 0);
  if (uid === 0) {
    const message = `creating ${spec.runner}: user "${spec.user}" is root or not a number; set uid or uid:gid`;
    throw new BatonError('INSTANCE_INVALID', message);
  }
  return { uid, gid: Number(match?.[2] ?? uid) };
}

/** The options of a runner's container. They hold no secret: `docker inspect` shows them to anyone. */
export function toContainerOptions(
  spec: InstanceSpec,
  { network, hash }: { network: string; hash: string },
): Docker.ContainerCreateOptions {
  const { uid, gid } = parseUser(spec);
  return {
    name: spec.runner,
    Hostname: spec.runner,
    Image: spec.image ?? '',
    User: `${uid}:${gid}`,
    Entrypoint: ['/bin/sh', `${AGENT_FOLDER}/start.sh`],
    Cmd: [],
    Env: [
      `${AGENT_ENV.bootstrap}=${AGENT_FOLDER}/${BOOTSTRAP_NAME}`,
      `${AGENT_ENV.programDirectory}=${spec.program.directory}`,
    ],
    Labels: {
      [DOCKER_LABELS.installation]: spec.installation,
      [DOCKER_LABELS.group]: spec.group,
      [DOCKER_LABELS.runner]: spec.runner,
      [DOCKER_LABELS.spec]: hash,
    },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: network,
      // How instances reach a NATS server on the engine's machine.
      ExtraHosts: ['host.docker.internal:host-gateway'],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      IpcMode: 'private',
      // An init process that reaps the processes jobs leave behind, and forwards SIGTERM.
      Init: true,
      RestartPolicy: { Name: 'no' },
      PidsLimit: spec.pids,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
      ...(spec.cpu === undefined ? {} : { NanoCpus: Math.round(spec.cpu * 1e9) }),
      // MemorySwap is memory plus swap: equal values mean no swap.
      ...(spec.memoryBytes === undefined ? {} : { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
      // Only storage drivers with quotas support a limit; others refuse it, which is better than ignoring it.
      ...(spec.diskBytes === undefined ? {} : { StorageOpt: { size: String(spec.diskBytes) } }),
    },
  };
}
