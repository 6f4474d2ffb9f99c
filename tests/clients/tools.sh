#!/usr/bin/env bash
# Other tools than grpcurl against the demo: an old grpcurl that knows reflection v1alpha only,
# grpc-health-probe, and what grpcui asks for.
# Usage: tools.sh path/to/videoconf-facade old-grpcurl grpc-health-probe reflection
set -euo pipefail

readonly facade=$1 old_grpcurl=$2 probe=$3 reflection=$4
readonly service=rocketchat.videoconference.v1.VideoConferenceService
readonly user=(-H 'x-user-id: CkCPNctrgCDfmWLqC'
  -H 'x-auth-token: 1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE')
readonly known='{"call_id":"697866d5c8b053302078137a"}'

source "$(dirname "$0")/demo.sh"
source "$(dirname "$0")/expect.sh"

expect 'old grpcurl: lists our service' "$service" "$old_grpcurl" -plaintext "$address" list
expect 'old grpcurl: shows comments' '// Gets one video conference' \
  "$old_grpcurl" -plaintext "$address" describe "$service"
expect 'old grpcurl: has the conference' '"providerName": "googlemeet"' \
  "$old_grpcurl" -plaintext "${user[@]}" -d "$known" "$address" "$service/GetInfo"
expect 'old grpcurl: has the details of a refusal' '"reason":"CREDENTIALS_MISSING"' \
  "$old_grpcurl" -plaintext -d "$known" "$address" "$service/GetInfo"

expect 'grpc-health-probe: the server' 'status: SERVING' "$probe" -addr "$address"
expect 'grpc-health-probe: the service' 'status: SERVING' "$probe" -addr "$address" -service "$service"
expect 'grpc-health-probe: another service' 'NotFound desc = no such service' \
  "$probe" -addr "$address" -service no.such.Service

expect "grpcui's reflection" 'services, 8 files, a call and a refusal' "$reflection" "$address"
all_passed
