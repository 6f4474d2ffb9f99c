#!/usr/bin/env bash
# grpcio's reflection client against the demo. Usage: grpcio.sh path/to/videoconf-facade python
set -euo pipefail

readonly facade=$1 python=$2

source "$(dirname "$0")/demo.sh"

"$python" "$(dirname "$0")/reflection.py" "$address"
