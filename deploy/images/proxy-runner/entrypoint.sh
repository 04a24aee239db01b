#!/bin/sh
# Runs the proxy. Its settings come from the environment: BATON_PROXY_NAME, BATON_PROXY_URL, BATON_PROXY_LABELS,
# BATON_PROXY_ORCHESTRATOR_URL, BATON_PROXY_CREDENTIAL_FILE and, at the first start, BATON_REGISTRATION_TOKEN. Give it more time to stop than a
# hook takes (`docker stop --time 60`), because it finishes its current job.
# This shell stays: it is the parent of all processes that jobs leave behind, and collects those that are killed.
node /app/services/proxy/main.ts \
  --directory "${BATON_PROXY_DIRECTORY:-/opt/runner}" \
  --state "${BATON_PROXY_STATE_FOLDER:-/var/lib/baton-proxy}" \
  --host 0.0.0.0 --port 8080 "$@" &
proxy=$!
trap 'kill -TERM $proxy' TERM INT
wait $proxy
code=$?
# A signal ends the wait before the proxy has ended.
while kill -0 $proxy 2>/dev/null; do
  wait $proxy
  code=$?
done
exit $code
