"""grpcio: asks for COUNT calls at once, and prints what became of each. Usage: callers.py TARGET COUNT"""

import collections
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoRequest
from rocketchat.videoconference.v1.video_conference_service_pb2_grpc import VideoConferenceServiceStub

target, count = sys.argv[1], int(sys.argv[2])
with open(os.environ["SERVICE_CONFIG"]) as file:
    channel = grpc.insecure_channel(target, [("grpc.service_config", file.read())])
stub = VideoConferenceServiceStub(channel)
user = [("x-user-id", "user"), ("x-auth-token", "token")]


def ask(call_id):
    try:
        stub.GetInfo(GetInfoRequest(call_id=call_id), timeout=60, metadata=[*user, ("x-request-id", call_id)])
        return "OK"
    except grpc.RpcError as e:
        return e.code().name


with ThreadPoolExecutor(count) as callers:
    codes = list(callers.map(ask, [f"call-{n}" for n in range(count)]))
for code, times in collections.Counter(codes).items():
    print(code, times)
