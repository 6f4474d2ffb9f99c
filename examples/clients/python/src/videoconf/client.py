"""The blocking client."""

import grpc

from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoResponse
from rocketchat.videoconference.v1.video_conference_service_pb2_grpc import (
    VideoConferenceServiceStub,
)
from videoconf import channel as channels
from videoconf import health, requests
from videoconf.credentials import Credentials
from videoconf.error import Error


class Client:
    """Calls a facade. Threads may share it; one for a process is enough.

    It connects with the first call. `authority` is the `:authority` to send, and the name that the
    certificate must be for; without it, grpcio takes it from the target. Without `tls`, plain
    HTTP/2 is spoken.
    """

    def __init__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        authority: str | None = None,
        tls: channels.Tls | None = None,
    ) -> None:
        options = channels.options(authority)
        if tls is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, tls.channel_credentials(), options)
        self._get_info = VideoConferenceServiceStub(self._channel).GetInfo
        self._check = health.check_method(self._channel)
        self._credentials = credentials

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def get_info(
        self,
        call_id: str,
        *,
        max_age: float | None = None,
        timeout: float = channels.DEFAULT_TIMEOUT,
        credentials: Credentials | None = None,
    ) -> GetInfoResponse:
        """Asks for a conference, for another user if `credentials` are given. Raises Error.

        `max_age` is the oldest answer to accept, in seconds: zero is a read of its own, None leaves
        it to the facade. `timeout` bounds the call with all of its retries, in seconds.
        """
        who = credentials or self._credentials
        try:
            return self._get_info(
                requests.get_info(call_id, max_age),
                timeout=timeout,
                metadata=who.metadata() if who else None,
            )
        except grpc.RpcError as e:
            raise Error.of(e) from e

    def health(self, *, timeout: float = channels.DEFAULT_TIMEOUT):
        """Asks whether the facade serves; a HealthCheckResponse. Raises Error."""
        try:
            return self._check(health.request(), timeout=timeout)
        except grpc.RpcError as e:
            raise Error.of(e) from e
