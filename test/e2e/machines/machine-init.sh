#!/bin/sh
# What a virtual machine is to its guest: boots, runs its user data as root, and is off when it is switched off.
# One stream, as a console is: Docker does not keep the order between standard output and standard error.
exec 2>&1
mkfifo /run/power
exec 3<>/run/power
sh /var/lib/cloud/instance/scripts/user-data &
read -r how <&3
echo "machine: off by $how"
