# Dot-sourced by the other scripts. Works in Windows PowerShell 5.1 and in PowerShell 7.

# Returns the first Node that starts here and is new enough, or nothing.
function Find-BatonNode {
  # The agent passes the Node that it runs on to hooks. That one is not checked again.
  if ($env:BATON_NODE -and $env:BATON_SIGNAL_SOCKET -and (Test-Path -LiteralPath $env:BATON_NODE)) {
    return $env:BATON_NODE
  }
  $candidates = @($env:BATON_NODE)
  $onPath = Get-Command -Name node -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
  if ($onPath) { $candidates += $onPath.Source }
  if ($env:BATON_PROGRAM_DIRECTORY) {
    foreach ($name in 'node24', 'node20') {
      $candidates += Join-Path $env:BATON_PROGRAM_DIRECTORY "externals/$name/bin/node"
      $candidates += Join-Path $env:BATON_PROGRAM_DIRECTORY "externals/$name/bin/node.exe"
    }
  }
  foreach ($candidate in $candidates) {
    if (-not $candidate -or -not (Test-Path -LiteralPath $candidate)) { continue }
    try { $version = & $candidate --version 2>$null } catch { continue }
    if ("$version" -match '^v(\d+)\.' -and [int]$Matches[1] -ge 20) { return $candidate }
  }
}

# Runs the hook and returns its code: 0 unless it failed and the group's hooks are strict (BATON_HOOK_POLICY) or one is required.
function Invoke-BatonHook([string]$Kind, [string]$Folder) {
  $node = Find-BatonNode
  if ($node) {
    & $node (Join-Path $Folder 'signal.mjs') $Kind | Out-Host
    if ($LASTEXITCODE -eq 0) { return 0 }
    $problem = "the $Kind hook failed; see its output above"
  } else {
    $problem = "no Node was found, so the signal that this job $Kind was not sent. Set BATON_NODE to the path of Node 20 or newer"
  }
  if ($env:BATON_HOOK_POLICY -eq 'strict') {
    Write-Host "::error title=Baton%3A a job hook failed::Baton: $problem. This runner group has strict hooks (hooks.policy: strict), so a hook that fails also fails the job."
    return 1
  }
  if ($env:BATON_HOOK_REQUIRED -eq '1') {
    Write-Host "::error title=Baton%3A a job hook failed::Baton: $problem. This runner group has a hook that is required, so its failure also fails the job."
    return 1
  }
  Write-Host "::warning::Baton: $problem"
  return 0
}
