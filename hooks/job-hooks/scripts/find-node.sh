# Sourced by the other scripts, which set `here`. POSIX only: an instance's image may have no better shell than dash or busybox.

# True if $1 is a Node that starts here (an image may contain one for another libc) and is new enough.
baton_node_works() {
  [ -n "$1" ] && [ -x "$1" ] || return 1
  baton_version=$("$1" --version 2>/dev/null) || return 1
  baton_version=${baton_version#v}
  baton_version=${baton_version%%.*}
  case $baton_version in '' | *[!0-9]*) return 1 ;; esac
  [ "$baton_version" -ge 20 ]
}

# Sets baton_node, or fails. The agent passes the Node that it runs on to hooks. That one is not checked again: starting Node
# takes a third of a hook's time.
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

# Runs the hook $1 and exits with its code: 0 unless it failed and the group's hooks are strict (BATON_HOOK_POLICY) or one is required.
baton_hook() {
  if baton_find_node; then
    if "$baton_node" "$here/signal.mjs" "$1"; then exit 0; fi
    baton_problem="the $1 hook failed; see its output above"
  else
    baton_problem="no Node was found, so the signal that this job $1 was not sent. Set BATON_NODE to the path of Node 20 or newer"
  fi
  if [ "${BATON_HOOK_POLICY:-lenient}" = strict ]; then
    echo "::error title=Baton%3A a job hook failed::Baton: $baton_problem. This runner group has strict hooks (hooks.policy: strict), so a hook that fails also fails the job."
    exit 1
  fi
  if [ "${BATON_HOOK_REQUIRED:-}" = 1 ]; then
    echo "::error title=Baton%3A a job hook failed::Baton: $baton_problem. This runner group has a hook that is required, so its failure also fails the job."
    exit 1
  fi
  echo "::warning::Baton: $baton_problem"
  exit 0
}
