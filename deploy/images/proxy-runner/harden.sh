#!/bin/sh
# Part of the image's build: takes from the image whatever would give the user `runner` more rights than it needs.
set -eu
grep -q '^runner:' /etc/passwd || echo 'runner:x:1001:1001::/home/runner:/bin/sh' >> /etc/passwd
grep -q '^runner:' /etc/group || echo 'runner:x:1001:' >> /etc/group
# It is a member of no further group.
sed -E 's/^([^:]*:[^:]*:[^:]*:)(.*,)?runner(,.*)?$/\1\2\3/' /etc/group > /etc/group.new
cat /etc/group.new > /etc/group
rm /etc/group.new
rm -rf /etc/sudoers /etc/sudoers.d /usr/bin/sudo /usr/bin/sudoedit /usr/bin/su /usr/local/lib/docker /home/runner
for program in docker dockerd docker-init docker-proxy containerd containerd-shim-runc-v2 ctr runc; do
  rm -f "/usr/bin/$program" "/usr/local/bin/$program"
done
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
find /opt/runner ! -type l -perm /022 -exec chmod go-w {} +
chmod 755 /entrypoint.sh
