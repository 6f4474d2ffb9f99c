#!/usr/bin/env bash
# The Dockerfile, as far as it can be judged where there is no registry of images: by its linter, by what the build
# would find, and by what the image would run. Usage: docker.sh path/to/videoconf-facade
set -euo pipefail

facade=$(realpath "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'echo "FAILED: line $LINENO of $0"' ERR
trap '[[ -z ${served-} ]] || kill "$served"; rm -r "$work"' EXIT

hadolint Dockerfile
echo 'ok      the Dockerfile by hadolint'

# The build's context: all that .dockerignore takes back.
while read -r path; do
  # Unquoted, since LICENSE* are several.
  cp -r --parents ${path#!} "$work"
done < <(grep '^!' .dockerignore)
(cd "$work" && CARGO_TARGET_DIR=$OLDPWD/target cargo check --quiet --locked --bin videoconf-facade)
(cd "$work" && deploy/rustflags >/dev/null && deploy/notices >notices && grep -q '^tonic ' notices)
for license in $(sed -nE 's|^COPY (LICENSE.*) /.*|\1|p' Dockerfile); do
  test -f "$work/$license"
done
echo "ok      the build's context has all that is built"

# instruction NAME: its words, where they are a list.
instruction() { sed -nE "s/.*\b$1 \[(.*)\]$/\1/p" Dockerfile | tr -d '",'; }
listen=$(sed -nE 's/^ENV VIDEOCONF_LISTEN=(.*)$/\1/p' Dockerfile)
[[ $listen == "0.0.0.0:$(sed -nE 's/^EXPOSE (.*)$/\1/p' Dockerfile)" ]]
[[ $(instruction ENTRYPOINT) == /usr/bin/videoconf-facade ]]
[[ $(instruction HEALTHCHECK.*CMD) == '/usr/bin/videoconf-facade health' ]]
read -ra arguments < <(grep -x 'CMD .*' Dockerfile | sed -E 's/CMD \[(.*)\]/\1/' | tr -d '",')
# As the image would run it, but for the port, which others here may have.
VIDEOCONF_LISTEN=127.0.0.1:0 VIDEOCONF_UPSTREAM_URL=http://localhost:9 "$facade" "${arguments[@]}" 2>"$work/log" &
served=$!
until address=$(sed -nE 's/.*"serving","listen":"([^"]*)".*/\1/p' "$work/log") && [[ -n $address ]]; do
  kill -0 "$served"
  sleep 0.1
done
VIDEOCONF_SERVER=$address "$facade" health
# What distroless/cc has: glibc and the compiler's run-time library.
missing=$(ldd "$facade" | grep -vE 'linux-vdso|ld-linux|lib(c|m|dl|pthread|rt|gcc_s)\.so' || true)
[[ -z $missing ]] || { echo "FAILED: the image lacks $missing"; exit 1; }
echo 'ok      what the image runs'
