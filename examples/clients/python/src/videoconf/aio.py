"""The asyncio client."""

import asyncio

import grpc.aio

from rocketchat.videoconference.v1.video_conference_service_pb2 import GetInfoResponse
from rocketchat.videoconference.v1.video_conference_service_pb2_grpc import (
    VideoConferenceServiceStub,
)
from videoconf import channel as channels
from videoconf import health, requests
from videoconf.credentials import Credentials
from videoconf.error import Error


class AsyncClient:
    """As Client, for asyncio. Make it in the event loop that uses it: it belongs to that loop."""

    def __init__(
        self,
        target: str,
        credentials: Credentials | None = None,
        *,
        authority: str | None = None,
        tls: channels.Tls | None = None,
    ) -> None:
        asyncio.get_running_loop()  # grpcio takes another loop's channel, and each call fails.
        options = channels.options(authority)
        if tls is None:
            self._channel = grpc.aio.insecure_channel(target, options)
        else:
            self._channel = grpc.aio.secure_channel(target, tls.channel_credentials(), options)
        self._get_info = VideoConferenceServiceStub(self._channel).GetInfo
        self._check = health.check_method(self._channel)
        self._credentials = credentials

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    async def get_info(
        self,
        call_id: str,
        *,
        max_age: float | None = None,
        timeout: float = channels.DEFAULT_TIMEOUT,
        credentials: Credentials | None = None,
    ) -> GetInfoResponse:
        """As Client.get_info."""
        who = credentials or self._credentials
        try:
            return await self._get_info(
                requests.get_info(call_id, max_age),
                timeout=timeout,
                metadata=who.metadata() if who else None,
            )
        except grpc.aio.AioRpcError as e:
            raise Error.of(e) from e

    async def health(self, *, timeout: float = channels.DEFAULT_TIMEOUT):
        """As Client.health."""
        try:
            return await self._check(health.request(), timeout=timeout)
        except grpc.aio.AioRpcError as e:
            raise Error.of(e) from e
