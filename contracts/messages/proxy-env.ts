/** Environment variables that a proxy and its hooks share, besides those of the forge's runner. */
export const PROXY_ENV = {
  /** The URL at which the proxy reaches the ingress. */
  orchestratorUrl: 'ORCHESTRATOR_URL',
  /** The proxy's bearer token. A secret; the hooks send it nowhere else. */
  token: 'RUNNER_TOKEN',
  /** The proxy's labels, separated by commas. */
  labels: 'RUNNER_LABELS',
  /** The file with the breaker's state and the counters of the hooks; default: in the system's temporary folder. */
  state: 'BATON_PROXY_STATE',
  /** Names of variables that never leave the proxy, separated by commas; `*` matches any text. */
  leaveOut: 'BATON_LEAVE_OUT',
  /** JSON that a workflow may pass on: `${{ toJSON(matrix) }}`, `${{ toJSON(needs) }}`. */
  matrix: 'BATON_MATRIX',
  needs: 'BATON_NEEDS',
  /** How long a request may take, and how long the breaker stays open, milliseconds. */
  requestTimeout: 'BATON_REQUEST_TIMEOUT_MS',
  breakerPause: 'BATON_BREAKER_PAUSE_MS',
} as const;

/** The exit code of the job-started hook once the job is handed over. */
export const HANDED_OVER = 78;
