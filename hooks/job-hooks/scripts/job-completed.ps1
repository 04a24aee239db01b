# The forge's runner calls this as `pwsh -command ". '{path}'"`, else by powershell (ACTIONS_RUNNER_HOOK_JOB_COMPLETED).
# Whatever goes wrong in here fails the job only where the group's hooks are strict.
. (Join-Path $PSScriptRoot 'find-node.ps1')
exit (Invoke-BatonHook 'completed' $PSScriptRoot)
