#!/bin/sh
# A proxy's job-started hook (ACTIONS_RUNNER_HOOK_JOB_STARTED): hands the job over and exits with 78, which fails this attempt.
# Any other exit fails it too; an annotation then says why the job was not handed over.
here=${0%/*}
exec "${BATON_NODE:-node}" "$here/delegate.mjs" started
