#!/bin/sh
# The machine's power switch: shutdown -P now | +MINUTES.
case $2 in
now) echo shutdown >/run/power ;;
+*) (sleep "$((${2#+} * 60))" && echo "shutdown $2" >/run/power) & ;;
esac
