"""grpcio's reflection client: questions without an answer, and files beside a client's own copies."""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2, status_pb2  # noqa: F401, the client's own copies
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "rocketchat.videoconference.v1.VideoConferenceService"

channel = grpc.insecure_channel(sys.argv[1])
stub = reflection_pb2_grpc.ServerReflectionStub(channel)
Question = reflection_pb2.ServerReflectionRequest


def ask(*questions):
    return list(stub.ServerReflectionInfo(iter(questions), timeout=10))


def files(**question):
    (answer,) = ask(Question(**question))
    encoded = answer.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(file) for file in encoded]


# What isn't there is an answer, and the questions after it are answered, too.
extension = reflection_pb2.ExtensionRequest(containing_type="google.rpc.ErrorInfo", extension_number=7)
*missing, last = ask(
    Question(file_containing_symbol="no.such.Thing"),
    Question(file_by_filename="no/such.proto"),
    Question(file_containing_extension=extension),
    Question(),
    Question(file_containing_symbol=SERVICE),
)
codes = [answer.error_response.error_code for answer in missing]
not_found, invalid = (code.value[0] for code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT))
assert codes == [not_found, not_found, not_found, invalid], codes
assert last.HasField("file_descriptor_response"), last

# The default pool has google.rpc's files already; the same once more are no duplicates.
default = descriptor_pool.Default()
added = {}


def add(file):
    if file.name not in added:
        added[file.name] = file
        for dependency in file.dependency:
            for imported in files(file_by_filename=dependency):
                add(imported)
        default.AddSerializedFile(file.SerializeToString())


for symbol in ("google.rpc.ErrorInfo", "google.rpc.Status", SERVICE):
    for file in files(file_containing_symbol=symbol):
        add(file)
assert "google/rpc/error_details.proto" in added, sorted(added)
assert default.FindServiceByName(SERVICE)

# And in a pool that asks for what it needs.
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
assert pool.FindMethodByName(SERVICE + ".GetInfo")

print("grpcio: reflection as it should be,", len(added), "files")
