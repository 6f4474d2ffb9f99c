#!/usr/bin/env bash
# The real grpcurl against the demo: reflection, names, values and refusals, each an assertion.
# Usage: grpcurl.sh path/to/videoconf-facade
set -euo pipefail

readonly facade=$1
readonly service=rocketchat.videoconference.v1.VideoConferenceService
readonly user=(-H 'x-user-id: CkCPNctrgCDfmWLqC'
  -H 'x-auth-token: 1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE')

source "$(dirname "$0")/demo.sh"
source "$(dirname "$0")/expect.sh"
call() { grpcurl -plaintext "$@" "$address" "$service/GetInfo"; }

expect 'lists our service' "$service" grpcurl -plaintext "$address" list
expect 'lists health' grpc.health.v1.Health grpcurl -plaintext "$address" list
expect 'lists reflection' grpc.reflection.v1alpha.ServerReflection grpcurl -plaintext "$address" list
expect 'shows comments' '// Gets one video conference' \
  grpcurl -plaintext "$address" describe "$service.GetInfo"
expect 'shows comments of fields' '// Who is in the conference' \
  grpcurl -plaintext "$address" describe rocketchat.videoconference.v1.VideoConference
expect 'has no such symbol' 'Symbol not found: no.such.Thing' \
  grpcurl -plaintext "$address" describe no.such.Thing
grpcurl -plaintext -protoset-out "$work/protoset" "$address" describe "$service" >/dev/null
expect 'an exported service has the details of its errors' '"reason": "CREDENTIALS_MISSING"' \
  grpcurl -plaintext -protoset "$work/protoset" "$address" "$service/GetInfo"
"$facade" descriptor >"$work/descriptor"
expect 'the descriptor set is enough to call and to read errors' '"reason": "CREDENTIALS_MISSING"' \
  grpcurl -plaintext -use-reflection=false -protoset "$work/descriptor" "$address" "$service/GetInfo"
expect 'asks for health' '"status": "SERVING"' \
  grpcurl -plaintext "$address" grpc.health.v1.Health/Check
expect 'asks for health by name' '"status": "SERVING"' \
  grpcurl -plaintext -d "{\"service\":\"$service\"}" "$address" grpc.health.v1.Health/Check

expect 'lists the health of all' "\"$service\"" \
  grpcurl -plaintext "$address" grpc.health.v1.Health/List
expect 'watches the health of nobody' '"status": "SERVICE_UNKNOWN"' \
  grpcurl -plaintext -max-time 1 -d '{"service":"no.such.Service"}' "$address" grpc.health.v1.Health/Watch

readonly known='{"call_id":"697866d5c8b053302078137a"}'
for text in '"_id": "697866d5c8b053302078137a"' '"_updatedAt": "2026-01-27T07:18:46.491Z"' \
  '"anonymousUsers": 0' '"providerName": "googlemeet"' '"mic": false' '"ringing": true' \
  '"status": "VIDEO_CONFERENCE_STATUS_STARTED"' '"readAt": "20'; do
  expect "has $text" "$text" call "${user[@]}" -d "$known"
done
expect 'returns the request id' 'x-request-id: from-grpcurl' \
  call -v "${user[@]}" -H 'x-request-id: from-grpcurl' -d "$known"

expect 'code of an unknown call' 'Code: InvalidArgument' call "${user[@]}" -d '{"call_id":"nope"}'
expect 'details of an unknown call' '"reason": "CALL_NOT_FOUND_OR_NOT_VISIBLE"' \
  call "${user[@]}" -d '{"call_id":"nope"}'
expect 'violation of an empty id' '"field": "call_id"' call "${user[@]}" -d '{}'
expect 'no credentials' '"reason": "CREDENTIALS_MISSING"' call -d "$known"
expect 'wrong credentials' 'Code: Unauthenticated' \
  call -H 'x-user-id: nobody' -H 'x-auth-token: nothing' -d "$known"

all_passed
