import { z } from 'zod';
import { HOOK_POLICIES } from '../workflows/hook-settings.ts';

/** Bytes of a unix socket's path: macOS allows 104 with the closing zero. */
export const MAX_SOCKET_PATH = 103;

const values = z.record(z.string(), z.string());

/** What a group asks of its hooks, in the bootstrap file and in the file that hooks read ({@link ResolvedHooks}). */
export const resolvedHooks = z.object({
  policy: z.enum(HOOK_POLICIES),
  shell: z.enum(['sh', 'pwsh']).optional(),
  env: values,
  path: z.array(z.string()),
  notices: z.array(z.string()),
  wrappers: z.array(
    z.object({
      id: z.string().min(1),
      uses: z.string().min(1),
      with: values,
      env: values,
      timeoutMs: z.number().positive(),
    }),
  ),
  secrets: z.array(z.string()),
});

const instanceTls = z.union([z.boolean(), z.object({ authority: z.string().min(1) })]);

/** How whatever runs in an instance trusts the NATS server. */
export type InstanceTls = z.infer<typeof instanceTls>;

/**
 * The agent's bootstrap file: all it needs to begin. A backend writes it into the instance (mode 0400, the instance's
 * user), names it in `BATON_BOOTSTRAP`, and the agent removes it right after reading. Holds a secret.
 */
export const bootstrapFile = z.object({
  version: z.literal(1),
  runner: z.string().min(1).max(63),
  natsUrl: z.string().min(1),
  /** TLS insisted on: with the system's authorities (`true`), or with this one alone, PEM. Absent: as the server wants. */
  natsTls: instanceTls.optional(),
  /** Content of a NATS credentials file; empty where the NATS server asks for none (development). */
  credentials: z.string(),
  /** The forge's runner program: where it is installed, and what to run in place of its run.sh. */
  program: z.object({ directory: z.string().min(1), command: z.array(z.string()).min(1).optional() }),
  /** End of the runner's time to live, ISO 8601: the agent ends itself then, whatever happens. */
  expiresAt: z.iso.datetime(),
  /** When this file was made, ISO 8601, by the maker's clock: the instance's own may be wrong. */
  madeAt: z.iso.datetime().optional(),
  /** Where the agent listens for hook scripts; its folder is made private (0700) when it does not exist. */
  socket: z.string().min(1).max(MAX_SOCKET_PATH),
  /** What the group asks of its hooks; absent: the signals alone. */
  hooks: resolvedHooks.optional(),
});

export type BootstrapFile = z.infer<typeof bootstrapFile>;

/** One file of the agent's bundle. */
export interface AgentFile {
  /** A plain name, no folders. */
  name: string;
  content: Buffer;
  /** Whether it is a script that is started by its path. */
  executable: boolean;
}

/** All that runs inside an instance, ready to be put there; `start.sh` is the way in. */
export interface AgentBundle {
  files: AgentFile[];
  /** All of them as an uncompressed tar, for machines that fetch it; the same files give the same bytes, wherever made. */
  archive: Buffer;
  /** SHA-256 of {@link archive}, hex: the same bundle has the same hash. */
  hash: string;
}
