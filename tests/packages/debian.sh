#!/usr/bin/env bash
# The package on a bare Debian with a systemd of its own, as an operator meets it: installed, told where Rocket.Chat
# is, started, upgraded, removed. Needs root, debootstrap and systemd-nspawn.
# Usage: debian.sh path/to/videoconf-facade.deb
set -euo pipefail

package=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
system=$work/system

# As old as the one here, since the package was built for it.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus "$codename" "$system" http://deb.debian.org/debian \
  >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cp "$package" "$system/root/package.deb"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$system/root/facade.key" -out "$system/root/facade.crt" 2>/dev/null
# As the README has it, but for the place.
mkdir "$system/root/drop-in"
sed -nE '/^ +LoadCredential=/,/^ +```/p' "$(dirname "$0")/../../README.md" | sed -e '/```/d' -e 's|:/etc/ssl|:/root|' \
  >"$work/lines"
printf '[Service]\n%s\n' "$(cat "$work/lines")" >"$system/root/drop-in/tls.conf"

cat >"$system/root/check" <<'CHECK'
#!/usr/bin/env bash
# Runs inside.
set -euo pipefail

ok() { echo "ok      $1"; }
failed() {
  echo "FAILED: $1"
  systemctl --no-pager --full status videoconf-facade || true
  journalctl --no-pager --unit videoconf-facade | tail -n 20
  exit 1
}
is() {
  local state
  state=$(systemctl is-active "$1" || true)
  [[ $state == "$2" ]] || failed "$1 is $state and not $2"
}

dpkg -i /root/package.deb >/dev/null
is videoconf-facade inactive
[[ $(systemctl is-enabled videoconf-facade) == enabled ]] || failed 'not enabled'
[[ $(stat -c %a /etc/default/videoconf-facade) == 640 ]] || failed 'others can read the configuration'
grep -q '^tonic ' /usr/share/doc/videoconf-facade/notices || failed 'no licences of what is linked in'
grep -q '^License: MIT OR Apache-2.0$' /usr/share/doc/videoconf-facade/copyright || failed 'other licences'
grep -q 'The videoconf-facade authors$' /usr/share/doc/videoconf-facade/copyright || failed 'of other authors'
ok 'installed, and waiting to be told where Rocket.Chat is'

if systemctl start videoconf-facade 2>/dev/null; then
  failed 'started without an upstream'
fi
journalctl --unit videoconf-facade | grep -q -e '--upstream-url is missing' || failed 'it is not said what is missing'
is videoconf-facade failed
[[ $(systemctl show --property NRestarts --value videoconf-facade) == 0 ]] || failed 'it is tried again, in vain'
ok 'started too early, it says what is missing, once'

# The one line.
echo 'VIDEOCONF_UPSTREAM_URL=http://127.0.0.1:9' >>/etc/default/videoconf-facade
systemctl start videoconf-facade || failed 'not started'
is videoconf-facade active
[[ $(videoconf-facade health) == SERVING ]] || failed 'not serving'
ok 'one line of configuration, and it serves'

pid=$(systemctl show --property MainPID --value videoconf-facade)
(($(stat -c %u "/proc/$pid") >= 61184)) || failed 'not a user of its own'
grep -qE '^CapEff:\s+0+$' "/proc/$pid/status" || failed 'has capabilities'
grep -qE '^Seccomp:\s+2$' "/proc/$pid/status" || failed 'has all system calls'
systemd-analyze security --no-pager --threshold=19 videoconf-facade >/root/exposure || failed "$(cat /root/exposure)"
ok "a user of its own, no capabilities, few system calls;$(sed -n 's/^→ / /p' /root/exposure)"

code=0
VIDEOCONF_USER_ID=u VIDEOCONF_AUTH_TOKEN=t videoconf-facade get-info x 2>/root/refused || code=$?
[[ $code == 78 ]] || failed "a call ended with $code: $(cat /root/refused)"
ok 'a call gets as far as Rocket.Chat could be'

systemctl reload videoconf-facade || failed 'not reloaded'
is videoconf-facade active
dpkg -i /root/package.deb >/dev/null
is videoconf-facade active
(($(systemctl show --property MainPID --value videoconf-facade) != pid)) || failed 'the old one still runs'
grep -q '^VIDEOCONF_UPSTREAM_URL=http://127.0.0.1:9' /etc/default/videoconf-facade || failed 'the configuration is gone'
ok 'upgraded: the configuration stays, and the new program runs'

# More often, and faster, than systemd would by itself.
for times in {1..6}; do
  kill -KILL "$(systemctl show --property MainPID --value videoconf-facade)"
  for _ in {1..50}; do
    (($(systemctl show --property NRestarts --value videoconf-facade) < times)) || break
    sleep 0.2
  done
  for _ in {1..50}; do
    [[ $(systemctl is-active videoconf-facade || true) != active ]] || break
    sleep 0.2
  done
  is videoconf-facade active
done
grep -qE '^Max core file size +0 +0 ' "/proc/$(systemctl show --property MainPID --value videoconf-facade)/limits" ||
  failed 'its memory may be written to disk'
ok 'killed six times, it is started again, and no core is dumped'

cp -r /root/drop-in /etc/systemd/system/videoconf-facade.service.d
systemctl daemon-reload
systemctl restart videoconf-facade || failed 'not started with TLS'
[[ $(videoconf-facade health --tls-ca /root/facade.crt --tls-server-name localhost) == SERVING ]] ||
  failed 'not serving with TLS'
rm -r /etc/systemd/system/videoconf-facade.service.d
systemctl daemon-reload
ok 'with TLS, by files that its user could not read'

systemctl stop videoconf-facade
[[ $(systemctl show --property Result --value videoconf-facade) == success ]] || failed 'did not end well'
cp /usr/share/doc/videoconf-facade/examples/videoconf-facade.socket /etc/systemd/system/
systemctl daemon-reload
systemctl start videoconf-facade.socket
is videoconf-facade inactive
[[ $(videoconf-facade health) == SERVING ]] || failed 'not started by its socket'
is videoconf-facade active
systemctl stop videoconf-facade.socket videoconf-facade
rm /etc/systemd/system/videoconf-facade.socket
ok 'its socket starts it'

systemctl start videoconf-facade
dpkg --purge videoconf-facade >/dev/null
is videoconf-facade inactive
left=$(find / -xdev -name '*videoconf-facade*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/root/*')
[[ -z $left ]] || failed "left behind: $left"
ok 'removed while it ran, without a trace'
echo done >/root/result
CHECK
chmod +x "$system/root/check"
cat >"$system/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/root/check >/root/said 2>&1'
ExecStopPost=/bin/systemctl --no-block poweroff
UNIT
mkdir -p "$system/etc/systemd/system/default.target.wants"
ln -s ../check.service "$system/etc/systemd/system/default.target.wants/check.service"

timeout 180 systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$system" --boot \
  >"$work/log" 2>&1 || true
if [[ ! -e $system/root/said ]]; then
  cat "$work/log"
  echo 'FAILED: the system did not start'
  exit 1
fi
cat "$system/root/said"
[[ -e $system/root/result ]]
