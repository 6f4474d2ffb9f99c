"""gRPC's health service, without generated code.

health.proto is in a pool of its own here: in the default one it clashes with
grpcio-health-checking, which registers the same messages under another file name.
"""

from importlib import resources

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from rocketchat.videoconference.v1 import video_conference_service_pb2

_pool = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(
    resources.files("videoconf").joinpath("health.binpb").read_bytes()
).file:
    _pool.Add(_file)

HealthCheckRequest = message_factory.GetMessageClass(
    _pool.FindMessageTypeByName("grpc.health.v1.HealthCheckRequest")
)
HealthCheckResponse = message_factory.GetMessageClass(
    _pool.FindMessageTypeByName("grpc.health.v1.HealthCheckResponse")
)

SERVICE = video_conference_service_pb2.DESCRIPTOR.services_by_name["VideoConferenceService"]


def check_method(channel):
    """`grpc.health.v1.Health/Check` of a channel, blocking or asyncio."""
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )


def request():
    return HealthCheckRequest(service=SERVICE.full_name)
