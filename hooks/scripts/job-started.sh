#!/bin/sh
# The forge's runner calls this before a job's first step (ACTIONS_RUNNER_HOOK_JOB_STARTED), as `bash -e` or `sh -e`.
# Whatever goes wrong in here must not fail the job: every way out is 0.
here=${0%/*}
. "$here/find-node.sh"
if baton_find_node; then
  "$baton_node" "$here/signal.mjs" started || :
else
  echo "::warning::Baton: no Node was found to tell that this job started; set BATON_NODE"
fi
exit 0
