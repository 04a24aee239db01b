#!/bin/sh
# The forge's runner calls this after a job's last step (ACTIONS_RUNNER_HOOK_JOB_COMPLETED), as `bash -e` or `sh -e`.
# An error in here fails the job only if the group's hooks are strict.
here=${0%/*}
. "$here/find-node.sh"
baton_hook completed
