#!/bin/sh
# A proxy's job-started hook (ACTIONS_RUNNER_HOOK_JOB_STARTED): asks the proxy to hand the job over. The proxy then ends this attempt;
# otherwise this exits with 78, which fails it. Any other exit fails it too; an annotation then says why the job was not handed over.
here=${0%/*}
exec "${BATON_NODE:-node}" "$here/delegate.mjs"
