#!/usr/bin/env bash
# Builds the example clients, and prints what each shows before a facade: client x case.
# Usage: conformance.sh path/to/videoconf-facade folder-for-what-is-built
set -euo pipefail

facade=$(realpath "$1")
mkdir -p "$2"
built=$(realpath "$2")
readonly facade built
cd "$(dirname "$0")/../../examples/clients"

# Each ecosystem wants it in a place of its own.
find . -name service_config.json -not -path '*/node_modules/*' -not -path '*/target/*' -not -path '*/dist/*' |
  while read -r copy; do cmp "$copy" ../../proto/service_config.json; done

cargo fmt --check --manifest-path rust/Cargo.toml
cargo clippy --quiet --locked --manifest-path rust/Cargo.toml --target-dir "$built/rust" -- -D warnings
cargo build --quiet --locked --manifest-path rust/Cargo.toml --target-dir "$built/rust"

(cd go && go generate ./... && go vet ./... && go build -o "$built/go-info" ./cmd/info)
test -z "$(gofmt -l go/cmd go/videoconf)"

[[ -x $built/python/bin/pip ]] || python3 -m venv "$built/python"
"$built/python/bin/pip" install --quiet --disable-pip-version-check -e 'python[build]'
"$built/python/bin/python" python/generate.py

npm ci --silent --no-audit --no-fund --prefix node
npm run --silent --prefix node build

# It ends with colours whatever is asked for.
mvn --quiet --batch-mode --file java/pom.xml package >"$built/mvn.log" || { cat "$built/mvn.log"; exit 1; }

"$built/python/bin/python" ../../tests/clients/conformance/run.py "$facade" \
  "rust=$built/rust/debug/info" \
  "go=$built/go-info" \
  "python=$built/python/bin/info" \
  "aio=$built/python/bin/info --aio" \
  "node=node $PWD/node/dist/info/main.js" \
  "java=java -jar $PWD/java/target/info.jar"
