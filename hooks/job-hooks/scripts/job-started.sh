#!/bin/sh
# The forge's runner calls this before a job's first step (ACTIONS_RUNNER_HOOK_JOB_STARTED), as `bash -e` or `sh -e`.
# An error in here fails the job only if the group's hooks are strict.
here=${0%/*}
. "$here/find-node.sh"
baton_hook started
