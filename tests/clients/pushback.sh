#!/usr/bin/env bash
# Stock clients obey what a refusal says of when to come again. After conformance.sh, with the same arguments:
# pushback.sh path/to/videoconf-facade folder-for-what-is-built
set -euo pipefail

facade=$(realpath "$1")
built=$(realpath "$2")
readonly facade built
cd "$(dirname "$0")"

export SERVICE_CONFIG=$PWD/../../proto/service_config.json
(cd pushback/go && go vet . && go build -o "$built/pushback-go" .)

python3 pushback/run.py "$facade" \
  "grpc-go=$built/pushback-go" \
  "grpcio=$built/python/bin/python pushback/callers.py" \
  "grpc-js=node pushback/callers.mjs $PWD/../../examples/clients/node"
