#!/bin/sh
# guard.sh SECONDS PROGRAM [ARGUMENT…]: runs the program, and ends it when this script's standard input ends, which happens when
# the process that started it has ended, for any reason. It sends TERM, and KILL after so many seconds. POSIX.
grace=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
trap 'kill -TERM $child 2>/dev/null' TERM INT HUP
(
  while read -r _; do :; done
  nap=
  trap '[ -z "$nap" ] || kill $nap 2>/dev/null; exit 0' TERM
  kill -TERM $child 2>/dev/null
  left=$((grace * 10))
  while [ $left -gt 0 ] && kill -0 $child 2>/dev/null; do
    sleep 0.1 & nap=$!
    wait $nap
    left=$((left - 1))
  done
  kill -KILL $child 2>/dev/null
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
# The watcher ends its own `sleep` first, so that nothing is left behind.
kill $watcher 2>/dev/null
wait $watcher 2>/dev/null
exit $code
