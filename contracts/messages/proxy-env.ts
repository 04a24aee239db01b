/** Environment variables that a proxy and its hooks share, besides those of the forge's runner. */
export const PROXY_ENV = {
  /** Where the ingress is, as the proxy reaches it. */
  orchestratorUrl: 'ORCHESTRATOR_URL',
  /** The proxy's bearer token. A secret; the hooks send it nowhere else. */
  token: 'RUNNER_TOKEN',
  /** The proxy's labels, separated by commas. */
  labels: 'RUNNER_LABELS',
  /** The file in which hooks keep the breaker's state and count; default: in the system's folder for temporary files. */
  state: 'BATON_PROXY_STATE',
  /** Names of variables that never leave the proxy, separated by commas; `*` stands for any text. */
  leaveOut: 'BATON_LEAVE_OUT',
  /** JSON that a workflow may hand over: `${{ toJSON(matrix) }}`, `${{ toJSON(needs) }}`. */
  matrix: 'BATON_MATRIX',
  needs: 'BATON_NEEDS',
  /** How long a request may take, and how long the breaker stays open, milliseconds. */
  requestTimeout: 'BATON_REQUEST_TIMEOUT_MS',
  breakerPause: 'BATON_BREAKER_PAUSE_MS',
} as const;

/** What the job-started hook ends with once the job is handed over. */
export const HANDED_OVER = 78;
