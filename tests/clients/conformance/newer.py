"""A facade that is newer than its clients: an answer with what their proto doesn't know."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoResponse, VideoConference
from rocketchat.videoconference.v1.video_conference_service_pb2_grpc import (
    VideoConferenceServiceServicer,
    add_VideoConferenceServiceServicer_to_server,
)

# Field 1000 with the number 1: there is no such field.
UNKNOWN_FIELD = b"\xc0\x3e\x01"


class Newer(VideoConferenceServiceServicer):
    """Listens on a free port."""

    def __init__(self):
        self.server = grpc.server(ThreadPoolExecutor(1))
        add_VideoConferenceServiceServicer_to_server(self, self.server)
        self.target = f"localhost:{self.server.add_insecure_port('localhost:0')}"
        self.server.start()

    def GetInfo(self, request, _):
        conference = VideoConference(id=request.call_id, type=98, status=99)
        conference.MergeFromString(UNKNOWN_FIELD)
        return GetInfoResponse(video_conference=conference)
