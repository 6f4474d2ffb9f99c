"""Generates what src/videoconf imports; run it again when the proto changes."""

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
PROTO = HERE / "../../../proto"
SRC = HERE / "src"
# What grpcio-tools brings of google/protobuf.
WELL_KNOWN = resources.files("grpc_tools") / "_proto"


def run(*arguments: str) -> None:
    paths = f"--proto_path={PROTO}", f"--proto_path={WELL_KNOWN}"
    if status := protoc.main(["protoc", *paths, *arguments]):
        sys.exit(status)


# Below src itself, since the generated files import each other as
# `rocketchat.videoconference.v1`.
run(
    f"--python_out={SRC}",
    f"--pyi_out={SRC}",
    f"--grpc_python_out={SRC}",
    "rocketchat/videoconference/v1/video_conference_service.proto",
)
# Not as Python: that would be grpc/health, inside of grpcio's own package.
run(f"--descriptor_set_out={SRC / 'videoconf/health.binpb'}", "grpc/health/v1/health.proto")
