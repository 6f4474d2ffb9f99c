#!/usr/bin/env bash
# The units for systemd: what it thinks of them, and of how much they let the process do.
# Usage: systemd.sh path/to/videoconf-facade
set -euo pipefail

facade=$(realpath "$1")
cd "$(dirname "$0")/../../deploy/systemd"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# As they are, but for where the program is.
for unit in videoconf-facade.service videoconf-facade.socket; do
  sed "s|/usr/bin/videoconf-facade|$facade|" "$unit" >"$work/$unit"
done

# What it knows nothing of, it only warns of.
complaints=$(systemd-analyze verify --man=no "$work"/videoconf-facade.* 2>&1 || true)
if [[ -n $complaints ]]; then
  echo "FAILED: $complaints"
  exit 1
fi
echo 'ok      the units by systemd-analyze verify'

# What the package has for its configuration: nothing is set, operators' pages are for this machine, and everything in
# it that is proposed is good.
if grep -qE '^[^#]' ../debian/default || ! grep -q '^#VIDEOCONF_ADMIN_LISTEN=127\.0\.0\.1:' ../debian/default; then
  echo 'FAILED: /etc/default decides for the operator'
  exit 1
fi
proposed=$(sed -n 's/^#\(VIDEOCONF_.*=\)/\1/p' ../debian/default)
[[ $proposed == *VIDEOCONF_UPSTREAM_URL=* ]] || { echo 'FAILED: no upstream is proposed'; exit 1; }
while IFS== read -r variable _; do
  "$facade" serve --help | tr -s " \n" " " | grep -q -F "[env: $variable]" || { echo "FAILED: nobody reads $variable"; exit 1; }
done <<<"$proposed"
(set -a && eval "$proposed" && "$facade" check-config >/dev/null)
echo 'ok      the variables of /etc/default'

# In tenths: below 2.0.
if ! exposure=$(systemd-analyze security --offline=yes --no-pager --threshold=19 "$work/videoconf-facade.service"); then
  echo "FAILED: $exposure"
  exit 1
fi
sed -n 's/^→ /ok      /p' <<<"$exposure"

# All that may not be restricted, so that a line that is lost shows: a server needs the network, the service manager's
# socket, and files of the system that are only read.
allowed='DeviceAllow IPAddressDeny PrivateMounts PrivateNetwork ProcSubset RestrictAddressFamilies_AF_INET_INET6 RestrictAddressFamilies_AF_UNIX RootDirectoryOrRootImage'
found=$(systemd-analyze security --offline=yes --no-pager --json=short "$work/videoconf-facade.service" |
  python3 -c 'import json, sys; print(*sorted(it["json_field"] for it in json.load(sys.stdin) if it["set"] is False))')
if [[ $found != "$allowed" ]]; then
  echo "FAILED: not restricted: $found"
  exit 1
fi
echo 'ok      what is not restricted is what the program needs'

# default FLAG: as the README has it, which a test holds against the flags.
default() {
  grep -F -e "| \`$1\` |" ../../README.md | head -n 1 | cut -d '|' -f 4 | tr -d ' `'
}

# has FILE LINE...: what no tool looks at.
has() {
  local file=$1 line
  shift
  for line; do
    grep -qxF -e "$line" "$file" || { echo "FAILED: $file has no $line"; exit 1; }
  done
}
has videoconf-facade.service \
  WatchdogSec=30s Restart=on-failure RestartSec=1s RestartPreventExitStatus=64 StartLimitIntervalSec=0 LimitCORE=0 \
  Wants=network-online.target After=network-online.target WantedBy=multi-user.target "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX" \
  AmbientCapabilities= KeyringMode=private SecureBits=noroot-locked SystemCallErrorNumber=EPERM
has videoconf-facade.socket "ListenStream=$(default --listen)" Backlog=1024 NoDelay=yes WantedBy=sockets.target

# What the unit allows is above what the program takes by default.
stop=$(sed -nE 's/^TimeoutStopSec=([0-9]+)s$/\1/p' videoconf-facade.service)
drain=$(default --drain-timeout | tr -d s)
if ((stop <= drain + 2)); then
  echo "FAILED: TimeoutStopSec is $stop s, --drain-timeout $drain s"
  exit 1
fi
limit=$(sed -nE 's/^LimitNOFILE=([0-9]+)$/\1/p' videoconf-facade.service)
connections=$(default --max-connections)
if ((limit <= 2 * connections)); then
  echo "FAILED: LimitNOFILE is $limit, --max-connections $connections"
  exit 1
fi
echo 'ok      the unit has room for the defaults'
