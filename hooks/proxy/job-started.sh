#!/bin/sh
# A proxy's job-started hook (ACTIONS_RUNNER_HOOK_JOB_STARTED): hands the job over and ends with 78, which fails this attempt of
# it. Any other end fails it too; the annotation then says why nothing was handed over.
here=${0%/*}
exec "${BATON_NODE:-node}" "$here/delegate.mjs" started
