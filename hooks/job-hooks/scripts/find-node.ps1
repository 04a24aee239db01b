# Dot-sourced by the other scripts. Windows PowerShell 5.1 and PowerShell 7 read it alike.

# The first Node that starts here and is new enough; nothing where there is none.
function Find-BatonNode {
  # The agent has found one already and names it to hooks: that one is not tried again.
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

# Runs the hook and gives its code: 0 unless the group's hooks are strict (BATON_HOOK_POLICY) and it failed.
function Invoke-BatonHook([string]$Kind, [string]$Folder) {
  $node = Find-BatonNode
  if ($node) {
    & $node (Join-Path $Folder 'signal.mjs') $Kind | Out-Host
    if ($LASTEXITCODE -eq 0) { return 0 }
    $problem = "the $Kind hook failed; its output above tells why"
  } else {
    $problem = "no Node was found to tell that this job $Kind; set BATON_NODE"
  }
  if ($env:BATON_HOOK_POLICY -eq 'strict') {
    Write-Host "::error title=Baton%3A a job hook failed::Baton: $problem. This runner group's hooks are strict (hooks.policy)"
    return 1
  }
  Write-Host "::warning::Baton: $problem"
  return 0
}
