# The forge's runner calls this as `pwsh -command ". '{path}'"`, or with powershell (ACTIONS_RUNNER_HOOK_JOB_COMPLETED).
# An error in here fails the job only if the group's hooks are strict.
. (Join-Path $PSScriptRoot 'find-node.ps1')
exit (Invoke-BatonHook 'completed' $PSScriptRoot)
