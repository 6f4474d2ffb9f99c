#!/usr/bin/env bash
# A page with a generated client, and the operators' page, in a headless Chromium, before the demo.
# Usage: web.sh path/to/videoconf-facade path/to/chromium
set -euo pipefail

facade=$(realpath "$1")
readonly facade chromium=$2
cd "$(dirname "$0")/web"

npm ci --silent --no-audit --no-fund
npm run --silent build
node run.mjs "$facade" "$chromium"
node operators.mjs "$facade" "$chromium"
