/** Environment variables that a backend, the agent and the hooks share. None holds a secret; some name a file with one. */
export const AGENT_ENV = {
  /** Path of the bootstrap file. */
  bootstrap: 'BATON_BOOTSTRAP',
  /** The forge's runner program's folder: start.sh looks for a Node there. */
  programDirectory: 'BATON_PROGRAM_DIRECTORY',
  /** The Node that runs the agent and the hooks. */
  node: 'BATON_NODE',
  /** The agent's socket, for hooks. */
  socket: 'BATON_SIGNAL_SOCKET',
  /** How long a hook waits at most, milliseconds; default 2000. */
  hookTimeout: 'BATON_HOOK_TIMEOUT_MS',
  /** What a failing hook does to the job: `strict` or `lenient` (default). */
  hookPolicy: 'BATON_HOOK_POLICY',
  /** `1`: the hooks have a part that is required: a failure fails the job, whatever {@link AGENT_ENV.hookPolicy} says. */
  hookRequired: 'BATON_HOOK_REQUIRED',
  /** A file with the group's hook settings; the wrappers keep their state beside it. Unset: the hooks only send signals. */
  hooks: 'BATON_HOOKS',
  /** On a cloud's machine: a file that appears when the cloud announces that it reclaims the machine. */
  interruption: 'BATON_INTERRUPTION',
  /** On a cloud's machine: a file that says why no job may run here. The agent reports it, and asks for no registration. */
  refusal: 'BATON_REFUSAL',
  /** For hooks without an agent: where NATS is, a file with the runner's own credential, the runner's name. */
  natsUrl: 'BATON_NATS_URL',
  natsCredentials: 'BATON_NATS_CREDENTIALS',
  /** … and a PEM file with the authority of its certificate, where that is not one of the system's. */
  natsAuthority: 'BATON_NATS_CA',
  runner: 'BATON_RUNNER',
} as const;
