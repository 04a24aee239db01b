# Sets a bare machine up as a runner's instance: downloads the agent from an ingress, installs the forge's runner,
# creates a user and a service, and powers the machine off at the end, whatever happened. POSIX sh, run as root by
# cloud-init (EC2) or the guest agent (Compute Engine). user-data.ts puts the settings in front of it. Logs to standard
# error, never a secret.
set -u
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
home=/opt/baton
# In memory where possible: the credential lies here until the agent has read it.
run=/run/baton

say() { echo "baton: $*" >&2; }

# The only way to end. A file of its own, since the service calls it too.
mkdir -p "$home" "$run"
cat >"$home/power-off.sh" <<'POWER_OFF'
#!/bin/sh
echo 'baton: powering off' >&2
sync 2>/dev/null
if [ -d /run/systemd/system ]; then systemctl poweroff && exit 0; fi
shutdown -P now && exit 0
poweroff -f && exit 0
halt -p -f && exit 0
echo o >/proc/sysrq-trigger
POWER_OFF
chmod 755 "$home/power-off.sh"

power_off() {
  trap - EXIT
  sh "$home/power-off.sh"
  exit "${1:-0}"
}
fail() {
  say "$*"
  power_off 1
}
trap 'power_off $?' EXIT
trap 'fail "stopped by a signal"' HUP INT TERM

# Two power-off timers, set before anything that may hang: one survives this script, the other needs no other program.
shutdown -P "+$(((BATON_TTL + 59) / 60))" 'the time to live of this runner has ended' 2>/dev/null || :
cat >"$home/dead-man.sh" <<DEAD_MAN
echo 'baton: the time to live has ended' >&2
exec sh $home/power-off.sh
DEAD_MAN
# A systemd timer where there is systemd: a process that ignores TERM would delay every shutdown by a minute and a half.
if [ ! -d /run/systemd/system ] ||
  ! systemd-run --quiet --unit=baton-dead-man --on-active="${BATON_TTL}s" --timer-property=AccuracySec=1s \
    --property=StandardOutput=journal+console /bin/sh "$home/dead-man.sh"; then
  (
    trap '' HUP INT TERM
    trap - EXIT
    sleep "$BATON_TTL"
    exec sh "$home/dead-man.sh"
  ) &
fi

say "machine of runner $BATON_RUNNER"

# So that the disk holds no credential later. The file of a running script may be removed.
rm -f /var/lib/cloud/instance/user-data.txt* /var/lib/cloud/instance/scripts/* 2>/dev/null

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else openssl dgst -sha256 -r "$1"; fi | cut -d' ' -f1
}

download() {
  if command -v curl >/dev/null; then
    curl -fsSL --connect-timeout 10 --max-time 300 -o "$2" "$1"
  else
    wget -q -T 60 -O "$2" "$1"
  fi
}

# fetch URL SHA256 FILE: retries until the file is there or the time to start has ended. A file with another hash is
# never used.
fetch() {
  wait=1
  until download "$1" "$3"; do
    [ "$(($(date +%s) - begun))" -lt "$BATON_START" ] || fail "no answer from $1 within $BATON_START s"
    say "no answer from $1; retrying in $wait s"
    sleep "$wait"
    [ "$wait" -ge 15 ] || wait=$((wait * 2))
  done
  found=$(sha256 "$3")
  [ "$found" = "$2" ] || fail "$1 has the SHA-256 $found, expected $2"
}
begun=$(date +%s)

fetch "$BATON_AGENT_URL" "$BATON_AGENT_SHA256" "$run/agent.tar"
tar -xf "$run/agent.tar" -C "$home" || fail "unpacking the agent"
rm -f "$run/agent.tar"

# The runner's own user. The ids are configured; the name only helps the reader.
uid=${BATON_USER%%:*}
gid=${BATON_USER##*:}
name='' user_home=''
while IFS=: read -r its_name _ its_uid _ _ its_home _; do
  [ "$its_uid" = "$uid" ] && name=$its_name user_home=$its_home && break
done </etc/passwd
if [ -z "$name" ]; then
  name=baton user_home=/home/baton
  grep -q "^[^:]*:[^:]*:$gid:" /etc/group || echo "$name:x:$gid:" >>/etc/group
  echo "$name:x:$uid:$gid:Runner of Baton:$user_home:/bin/sh" >>/etc/passwd
fi
mkdir -p "$user_home"
[ "$user_home" = / ] || chown "$uid:$gid" "$user_home"

# The forge's runner program: part of the image, or downloaded from its release.
if [ "$BATON_PROGRAM" = command ] || [ -x "$BATON_PROGRAM_DIRECTORY/run.sh" ]; then
  say "the image has the runner program"
elif [ -n "$BATON_RELEASE_URL" ]; then
  say "installing $BATON_RELEASE_URL"
  fetch "$BATON_RELEASE_URL" "$BATON_RELEASE_SHA256" "$run/runner.tar.gz"
  mkdir -p "$BATON_PROGRAM_DIRECTORY"
  tar -xzf "$run/runner.tar.gz" -C "$BATON_PROGRAM_DIRECTORY" || fail "unpacking the runner"
  rm -f "$run/runner.tar.gz"
  chown -R "$uid:$gid" "$BATON_PROGRAM_DIRECTORY"
else
  fail "no $BATON_PROGRAM_DIRECTORY/run.sh in the image, and no runner_release is configured"
fi

# Job code must not get the machine's credentials, nor the user data, which holds the agent's. Only root may: neither another
# user, nor a sub-uid of a container without root, nor what the machine forwards for a container. The clouds' name servers
# have such addresses too. Where this cannot be made sure, no job runs: the agent only reports why.
metadata4=169.254.0.0/16
metadata6='fd00:ec2::/32 fd20:ce::/32'
refusal=''

# PROGRAM NETWORK…: the table raw comes before all others; Docker puts its own rules before those of FORWARD.
block_by_iptables() {
  program=$1
  shift
  for network; do
    "$program" -w -t raw -I PREROUTING ! -i lo -d "$network" -p tcp ! --dport 53 -j DROP &&
      "$program" -w -I OUTPUT -d "$network" -p tcp ! --dport 53 -m owner ! --uid-owner 0 -j REJECT || return 1
  done
}
block_by_nft() {
  nft -f - <<NFT
table inet baton {
  chain guard {
    meta skuid 0 return
    reject
  }
  chain output {
    type filter hook output priority -300
    ip daddr $metadata4 tcp dport != 53 jump guard
    ip6 daddr { $(echo "$metadata6" | sed 's/ /, /') } tcp dport != 53 jump guard
  }
  chain prerouting {
    type filter hook prerouting priority -300
    iifname "lo" return
    ip daddr $metadata4 tcp dport != 53 drop
    ip6 daddr { $(echo "$metadata6" | sed 's/ /, /') } tcp dport != 53 drop
  }
}
NFT
}
as_user() {
  if command -v setpriv >/dev/null; then
    setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
  else
    su -s /bin/sh "$name" -c "$*"
  fi
}
# Any answer counts, also a refusal.
can_reach() {
  if command -v curl >/dev/null; then
    as_user curl -s -o /dev/null -m 3 "$1"
  else
    as_user wget -q -T 3 -t 1 -O /dev/null "$1" || [ $? = 8 ]
  fi
}
block_metadata() {
  if command -v iptables >/dev/null && block_by_iptables iptables "$metadata4"; then
    # shellcheck disable=SC2086 # Two networks.
    if grep -qsv ' lo$' /proc/net/if_inet6 && ! block_by_iptables ip6tables $metadata6; then
      refusal='ip6tables cannot block it over IPv6'
      return
    fi
  elif ! { command -v nft >/dev/null && block_by_nft; }; then
    refusal='neither iptables nor nft can block it'
    return
  fi
  if ! as_user true; then
    refusal='neither setpriv nor su can try it'
  elif can_reach http://169.254.169.254/ || can_reach 'http://[fd00:ec2::254]/'; then
    refusal='it answers although it is blocked'
  fi
}
if [ "$BATON_BLOCK_METADATA" = 1 ]; then block_metadata; fi
if [ -n "$refusal" ]; then
  refusal="jobs could read this machine's metadata service: $refusal"
  say "no job runs here: $refusal"
  echo "$refusal" >"$run/refusal" || fail "writing $run/refusal"
fi

# Prints the cloud's notice that it will soon take a spot machine back. The agent's user cannot read it.
interrupted() {
  case $BATON_CLOUD in
  ec2)
    token=$(curl -fs -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") &&
      curl -fs -m 2 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/spot/instance-action"
    ;;
  gce)
    preempted=$(curl -fs -m 2 -H 'Metadata-Flavor: Google' "$metadata/computeMetadata/v1/instance/preempted") &&
      [ "$preempted" = TRUE ] && echo '{"action":"preempt"}'
    ;;
  *) return 1 ;;
  esac
}
metadata=${BATON_METADATA:-http://169.254.169.254}
if [ "$BATON_SPOT" = 1 ]; then
  (
    trap - EXIT HUP INT TERM
    until interrupted >"$run/interruption.new" 2>/dev/null && [ -s "$run/interruption.new" ]; do sleep 5; done
    chmod 644 "$run/interruption.new"
    mv "$run/interruption.new" "$run/interruption"
  ) &
fi

agent=$run/agent
mkdir -p "$agent"
chmod 700 "$agent"
(umask 077 && baton_bootstrap >"$agent/bootstrap.json")
chmod 400 "$agent/bootstrap.json"
chown -R "$uid:$gid" "$agent"
cat >"$home/environment" <<ENVIRONMENT
BATON_BOOTSTRAP=$agent/bootstrap.json
BATON_PROGRAM_DIRECTORY=$BATON_PROGRAM_DIRECTORY
BATON_CLOUD=$BATON_CLOUD
BATON_INTERRUPTION=$run/interruption
BATON_REFUSAL=$run/refusal
HOME=$user_home
USER=$name
LOGNAME=$name
ENVIRONMENT

if [ -d /run/systemd/system ]; then
  cat >/etc/systemd/system/baton-agent.service <<UNIT
[Unit]
Description=Baton's agent of runner $BATON_RUNNER
[Service]
Type=exec
User=$uid
Group=$gid
WorkingDirectory=$user_home
EnvironmentFile=$home/environment
ExecStart=/bin/sh $home/start.sh
ExecStopPost=+/bin/sh $home/power-off.sh
RuntimeMaxSec=$BATON_TTL
StandardOutput=journal+console
UNIT
  systemctl daemon-reload && systemctl start --no-block baton-agent.service || fail "starting the agent's service"
  # From here on the service powers the machine off.
  trap - EXIT
  exit 0
fi

cd "$user_home" || fail "going to $user_home"
# shellcheck disable=SC2046 # Lines of NAME=VALUE without spaces: user-data.ts checks them.
if command -v setpriv >/dev/null; then
  env -i PATH="$PATH" $(cat "$home/environment") \
    setpriv --reuid "$uid" --regid "$gid" --clear-groups /bin/sh "$home/start.sh" &
else
  env -i PATH="$PATH" $(cat "$home/environment") su -s /bin/sh "$name" -c "exec /bin/sh $home/start.sh" &
fi
wait $!
say "the agent ended with code $?"
