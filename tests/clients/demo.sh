# Sourced by the clients' checks: runs the demo of $facade until the end, and says where it listens in
# $address. $work is a folder that goes with it.
work=$(mktemp -d)
mkfifo "$work/log"
"$facade" demo --listen 127.0.0.1:0 --log-format json >"$work/stdout" 2>"$work/log" &
readonly pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -r "$work"' EXIT

# Wait for the line that says the address, then read on, so that the demo never meets a full pipe.
exec 3<"$work/log"
while read -r -u 3 line; do
  [[ $line == *'"message":"serving"'* ]] && break
done
address=$(sed -E 's/.*"listen":"([^"]+)".*/\1/' <<<"$line")
readonly address
cat <&3 >/dev/null &
