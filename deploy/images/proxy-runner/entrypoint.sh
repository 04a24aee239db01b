#!/bin/sh
# Becomes the proxy. All it needs comes from the environment: BATON_PROXY_NAME, BATON_PROXY_URL, BATON_PROXY_LABELS,
# BATON_PROXY_ORCHESTRATOR_URL, RUNNER_TOKEN and, at the first start, BATON_REGISTRATION_TOKEN. Give it more time to stop than a
# hook takes (`docker stop --time 60`): it finishes the job in hand.
exec node /app/services/proxy/main.ts \
  --directory "${BATON_PROXY_DIRECTORY:-/home/runner}" \
  --state "${BATON_PROXY_STATE_FOLDER:-/home/runner/.baton}" \
  --host 0.0.0.0 --port 8080 "$@"
