#!/bin/sh
# Installs what is baked into an image: common programs, the runner's user (1001, without sudo), and the runner itself, with its
# checksum verified.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends ca-certificates curl git iptables jq tar unzip util-linux zstd

groupadd -g 1001 runner
useradd -u 1001 -g 1001 -m -d /home/runner -s /bin/bash runner

curl -fsSL -o /tmp/runner.tar.gz "$RUNNER_URL"
echo "$RUNNER_SHA256  /tmp/runner.tar.gz" | sha256sum -c -
tar -xzf /tmp/runner.tar.gz -C /home/runner
rm /tmp/runner.tar.gz
/home/runner/bin/installdependencies.sh
chown -R runner:runner /home/runner

# No login is possible, and nothing of the build is left.
apt-get clean
rm -rf /var/lib/apt/lists/* /root/.ssh /home/*/.ssh
