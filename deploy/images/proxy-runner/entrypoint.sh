#!/bin/sh
# Runs the proxy. Its settings come from the environment: BATON_PROXY_NAME, BATON_PROXY_URL, BATON_PROXY_LABELS,
# BATON_PROXY_ORCHESTRATOR_URL, RUNNER_TOKEN and, at the first start, BATON_REGISTRATION_TOKEN. Give it more time to stop than a
# hook takes (`docker stop --time 60`), because it finishes its current job.
exec node /app/services/proxy/main.ts \
  --directory "${BATON_PROXY_DIRECTORY:-/home/runner}" \
  --state "${BATON_PROXY_STATE_FOLDER:-/home/runner/.baton}" \
  --host 0.0.0.0 --port 8080 "$@"
