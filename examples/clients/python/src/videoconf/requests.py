"""Requests, as both clients send them."""

from google.protobuf.duration_pb2 import Duration

from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoRequest


def get_info(call_id: str, max_age: float | None) -> GetInfoRequest:
    request = GetInfoRequest(call_id=call_id)
    if max_age is not None:
        age = Duration()
        age.FromNanoseconds(round(max_age * 1e9))
        request.max_age.CopyFrom(age)
    return request
