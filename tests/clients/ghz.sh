#!/usr/bin/env bash
# The real ghz against the demo: the very line that the demo names, 500 calls a second before a limit
# of 5, and every call is OK. Usage: ghz.sh path/to/videoconf-facade
set -euo pipefail

readonly facade=$1

work=$(mktemp -d)
mkfifo "$work/log"
"$facade" demo --listen 127.0.0.1:0 >"$work/stdout" 2>"$work/log" &
readonly pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -r "$work"' EXIT

# The line and its continuations; then read on, so that the demo never meets a full pipe.
exec 3<"$work/log"
line=''
while IFS= read -r -u 3 piece; do
  if [[ -n $line || $piece == *'ghz '* ]]; then
    line+=${piece%\\}
    [[ $piece == *\\ ]] || break
  fi
done
cat <&3 >/dev/null &

eval "$line --format json" >"$work/report"
node -e '
  const report = JSON.parse(require("fs").readFileSync(process.argv[1]));
  const codes = JSON.stringify(report.statusCodeDistribution);
  console.log(`${report.count} calls: ${codes}`);
  // The calls under way when the time is up are cut off by ghz itself.
  const { OK = 0, ...rest } = report.statusCodeDistribution;
  const others = Object.entries(rest).filter(([code]) => code !== "Unavailable" && code !== "Canceled");
  const cut = Object.values(rest).reduce((sum, count) => sum + count, 0);
  process.exit(OK > 4500 && others.length === 0 && cut <= 50 ? 0 : 1);
' "$work/report"
