#!/usr/bin/env bash
# The ways to come by the proto that proto/README.md tells of, as it has them, in an empty folder, with this
# clone's commit for an address and a tag. After conformance.sh, with the same arguments:
# vendored.sh path/to/videoconf-facade folder-for-what-is-built
set -euo pipefail

facade=$(realpath "$1")
built=$(realpath "$2")
root=$(realpath "$(dirname "$0")/../..")
readonly facade built root
readonly proto=rocketchat/videoconference/v1/video_conference_service.proto
PATH=$(dirname "$facade"):$root/examples/clients/node/node_modules/.bin:$built/python/bin:$PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
git clone --quiet --no-checkout "$root" here.git
git -C here.git tag here

source "$root/tests/clients/expect.sh"

# block LANGUAGE TEXT: the README's block that has this text.
block() {
  awk -v language="$1" -v text="$2" '
    /^```/ { if (inside && found) printf "%s", block; inside = $0 == "```" language; block = ""; found = 0; next }
    inside { block = block $0 "\n"; if (index($0, text)) found = 1 }' "$root/proto/README.md" |
    sed "s|https://\.\.\./videoconf-facade.git|$work/here.git/.git|; s|v0\.1\.0|here|"
}
has() { find "$1" -type f -name "$2"; }

eval "$(block sh 'buf export')"
expect 'buf export, from git' "vendored/$proto" has vendored '*.proto'
git -C "$root" show "HEAD:proto/$proto" | cmp - "vendored/$proto"

readonly plugins='plugins: [{ local: protoc-gen-es, out: gen }]'
{ block yaml git_repo; echo "$plugins"; } >buf.gen.yaml
buf generate
expect 'buf generate, from git' video_conference_service_pb.js has gen '*.js'
rm -r gen

printf 'version: v2\n%s\n' "$plugins" >buf.gen.yaml
eval "$(block sh 'videoconf-facade descriptor')"
buf generate videoconf.binpb --path rocketchat
expect 'buf generate, from the descriptor set' video_conference_service_pb.js has gen '*.js'

mkdir python
python -m grpc_tools.protoc --descriptor_set_in=videoconf.binpb --python_out=python "$proto" 2>/dev/null
expect 'grpcio-tools, from the descriptor set' 'max_age' env PYTHONPATH=python python -c "
from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoRequest
print(*GetInfoRequest.DESCRIPTOR.fields_by_name)"
all_passed
