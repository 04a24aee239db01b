#!/bin/sh
# The forge's runner calls this after a job's last step (ACTIONS_RUNNER_HOOK_JOB_COMPLETED), as `bash -e` or `sh -e`.
# Whatever goes wrong in here must not fail the job: every way out is 0.
here=${0%/*}
. "$here/find-node.sh"
if baton_find_node; then
  "$baton_node" "$here/signal.mjs" completed || :
else
  echo "::warning::Baton: no Node was found to tell that this job completed; set BATON_NODE"
fi
exit 0
