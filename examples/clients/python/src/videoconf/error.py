"""A failed call, with what its answer says about it."""

from dataclasses import dataclass, field
from typing import NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


class FieldViolation(NamedTuple):
    """What is wrong about a field of the request."""

    field: str
    description: str


@dataclass(eq=False)
class Error(Exception):
    """A failed call. Retries are over by the time it is raised."""

    code: grpc.StatusCode
    message: str
    # ErrorInfo's, and empty for what gRPC itself reports. New ones may come.
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    # When to try again, in seconds; None if the facade didn't say.
    retry_delay: float | None = None
    field_violations: list[FieldViolation] = field(default_factory=list)
    # What the facade's log knows the call by; empty if no answer came.
    request_id: str = ""

    @staticmethod
    def of(failed: grpc.RpcError) -> "Error":
        """Takes blocking and asyncio errors, which have the same methods."""
        error = Error(failed.code(), failed.details() or "")
        headers = [*(failed.initial_metadata() or ()), *(failed.trailing_metadata() or ())]
        for key, value in headers:
            if key == "x-request-id":
                error.request_id = value
            elif key == "grpc-status-details-bin":
                # Not grpc_status.rpc_status, which raises where the details aren't of this code.
                error._take(value)
        return error

    def _take(self, details: bytes) -> None:
        try:
            status = Status.FromString(details)
            for detail in status.details:
                if detail.Is(ErrorInfo.DESCRIPTOR):
                    info = ErrorInfo.FromString(detail.value)
                    self.reason, self.metadata = info.reason, dict(info.metadata)
                elif detail.Is(RetryInfo.DESCRIPTOR):
                    delay = RetryInfo.FromString(detail.value).retry_delay
                    self.retry_delay = delay.ToNanoseconds() / 1e9
                elif detail.Is(BadRequest.DESCRIPTOR):
                    self.field_violations += [
                        FieldViolation(v.field, v.description)
                        for v in BadRequest.FromString(detail.value).field_violations
                    ]
        except DecodeError:
            pass  # The code and the message are there all the same.

    @property
    def call_not_found(self) -> bool:
        """No such call, or not visible to this user; Rocket.Chat doesn't say which."""
        return self.code is grpc.StatusCode.NOT_FOUND or (
            self.code is grpc.StatusCode.INVALID_ARGUMENT
            # ErrorInfo's string, the enum's name without its prefix.
            and self.reason == "CALL_NOT_FOUND_OR_NOT_VISIBLE"
        )

    @property
    def bad_request(self) -> bool:
        """The request is wrong: to ask again is no use."""
        return self.code is grpc.StatusCode.INVALID_ARGUMENT and not self.call_not_found

    @property
    def bad_credentials(self) -> bool:
        """The user must log in again, or may not."""
        return self.code in (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.PERMISSION_DENIED,
        )

    @property
    def try_later(self) -> bool:
        """The same call may succeed later, after `retry_delay` if there is one."""
        return self.code in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        )

    @property
    def deadline_exceeded(self) -> bool:
        """No answer came in time."""
        return self.code is grpc.StatusCode.DEADLINE_EXCEEDED

    def __str__(self) -> str:
        about = [self.code.name]
        if self.reason and self.reason != self.code.name:
            about.append(self.reason)
        if self.retry_delay is not None:
            about.append(f"try again in {self.retry_delay:.3f} s")
        if self.request_id:
            about.append(f"request {self.request_id}")
        return f"{self.message} ({', '.join(about)})"
