/** Environment variables of a proxy and of its hook, besides those of the forge's runner. */
export const PROXY_ENV = {
  /** The proxy's bearer token. A secret of the proxy alone: neither the forge's runner nor a hook gets it. */
  token: 'RUNNER_TOKEN',
  /** The proxy's Unix socket, for its hook. */
  socket: 'BATON_PROXY_SOCKET',
  /** JSON that a workflow may pass on: `${{ toJSON(matrix) }}`, `${{ toJSON(needs) }}`. */
  matrix: 'BATON_MATRIX',
  needs: 'BATON_NEEDS',
  /** How long a request of the proxy may take, and how long its breaker stays open, milliseconds. */
  requestTimeout: 'BATON_REQUEST_TIMEOUT_MS',
  breakerPause: 'BATON_BREAKER_PAUSE_MS',
  /** How long a hook that has its answer waits for the proxy to end the attempt, milliseconds. */
  endTimeout: 'BATON_PROXY_END_TIMEOUT_MS',
} as const;

/** The exit code of the job-started hook once the job is handed over. */
export const HANDED_OVER = 78;
