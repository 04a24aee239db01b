# Read by the other scripts, which set `here`. POSIX: an instance's image may have nothing better than dash or busybox.

# True when $1 is a Node that starts here (an image may hold one for another libc) and is new enough.
baton_node_works() {
  [ -n "$1" ] && [ -x "$1" ] || return 1
  baton_version=$("$1" --version 2>/dev/null) || return 1
  baton_version=${baton_version#v}
  baton_version=${baton_version%%.*}
  case $baton_version in '' | *[!0-9]*) return 1 ;; esac
  [ "$baton_version" -ge 20 ]
}

# Sets baton_node, or fails. The agent has found one already and names it to hooks: that one is not tried again, since
# starting Node costs a hook a third of its time.
baton_find_node() {
  if [ -n "${BATON_NODE:-}" ] && [ -n "${BATON_SIGNAL_SOCKET:-}" ] && [ -x "$BATON_NODE" ]; then
    baton_node=$BATON_NODE
    return 0
  fi
  baton_program=${BATON_PROGRAM_DIRECTORY:-}
  for baton_node in "${BATON_NODE:-}" "$(command -v node 2>/dev/null || :)" \
    "$baton_program/externals/node24/bin/node" "$baton_program/externals/node20/bin/node" \
    "$baton_program/externals/node24_alpine/bin/node" "$baton_program/externals/node20_alpine/bin/node"; do
    if baton_node_works "$baton_node"; then return 0; fi
  done
  return 1
}

# Runs the hook $1 and ends with its code: 0 unless the group's hooks are strict (BATON_HOOK_POLICY) and it failed.
baton_hook() {
  if baton_find_node; then
    if "$baton_node" "$here/signal.mjs" "$1"; then exit 0; fi
    baton_problem="the $1 hook failed; its output above tells why"
  else
    baton_problem="no Node was found to tell that this job $1; set BATON_NODE"
  fi
  if [ "${BATON_HOOK_POLICY:-lenient}" = strict ]; then
    echo "::error title=Baton%3A a job hook failed::Baton: $baton_problem. This runner group's hooks are strict (hooks.policy)"
    exit 1
  fi
  echo "::warning::Baton: $baton_problem"
  exit 0
}
