#!/usr/bin/env bash
# The alerts by promtool, and a real Prometheus that scrapes a demo under load: each query of the dashboard
# and of the rules has an answer. Usage: prometheus.sh path/to/videoconf-facade
set -euo pipefail

facade=$(realpath "$1")
cd "$(dirname "$0")/../../deploy/prometheus"

promtool check config prometheus.yml
promtool test rules alerts.test.yml
python3 ../../tests/operators/queries.py "$facade"
