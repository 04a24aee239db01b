import { z } from 'zod';
import { HOOK_POLICIES } from '../workflows/hook-settings.ts';

/** Bytes of a unix socket's path: macOS allows 104, including the final zero. */
export const MAX_SOCKET_PATH = 103;

const values = z.record(z.string(), z.string());

/** A group's hook settings, in the bootstrap file and in the file that hooks read ({@link ResolvedHooks}). */
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
      required: z.literal(true).optional(),
      scripts: z.object({ started: z.string().min(1).optional(), completed: z.string().min(1).optional() }).optional(),
    }),
  ),
  secrets: z.array(z.string()),
});

const instanceTls = z.union([z.boolean(), z.object({ authority: z.string().min(1) })]);

/** How programs in an instance verify the NATS server. */
export type InstanceTls = z.infer<typeof instanceTls>;

/**
 * The agent's bootstrap file: all it needs to start. A backend writes it into the instance (mode 0400, the instance's
 * user), names it in `BATON_BOOTSTRAP`, and the agent removes it right after reading. Holds a secret.
 */
export const bootstrapFile = z.object({
  version: z.literal(1),
  runner: z.string().min(1).max(63),
  natsUrl: z.string().min(1),
  /** Requires TLS: with the system's authorities (`true`), or with this authority only, PEM. Absent: the server decides. */
  natsTls: instanceTls.optional(),
  /** Content of a NATS credentials file; empty where the NATS server asks for none (development). */
  credentials: z.string(),
  /** The forge's runner program: where it is installed, and what to run in place of its run.sh. */
  program: z.object({ directory: z.string().min(1), command: z.array(z.string()).min(1).optional() }),
  /** End of the runner's time to live, ISO 8601: the agent then exits, whatever happens. */
  expiresAt: z.iso.datetime(),
  /**
   * End of the runner's time to start, ISO 8601: an agent without a registration then gives up. Absent: 10 minutes after its start.
   */
  startBy: z.iso.datetime().optional(),
  /** When this file was created, ISO 8601, by the clock of the backend worker: the instance's clock may be wrong. */
  madeAt: z.iso.datetime().optional(),
  /** Where the agent listens for hook scripts; its folder is created with mode 0700 if it does not exist. */
  socket: z.string().min(1).max(MAX_SOCKET_PATH),
  /** The group's hook settings. Absent: the hooks only send signals. */
  hooks: resolvedHooks.optional(),
});

export type BootstrapFile = z.infer<typeof bootstrapFile>;

/** One file of the agent's bundle. */
export interface AgentFile {
  /** A file name without a folder. */
  name: string;
  content: Buffer;
  /** Whether it is executed by its path. */
  executable: boolean;
}

/** All programs for the inside of an instance; `start.sh` starts them. */
export interface AgentBundle {
  files: AgentFile[];
  /** All files as an uncompressed tar, for machines that download it. The same files always give the same bytes. */
  archive: Buffer;
  /** SHA-256 of {@link archive}, hex: the same bundle has the same hash. */
  hash: string;
}
