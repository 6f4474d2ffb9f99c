"""Tells of a conference in a few lines."""

import json
from collections.abc import Iterator
from datetime import datetime

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from rocketchat.videoconference.v1.video_conference_service_pb2 import (
    GetInfoResponse,
    VideoConferenceUser,
)
from videoconf_info.failure import one_line


def describe(response: GetInfoResponse, now: datetime) -> str:
    """`url` isn't in it, since it may let anybody in who sees it."""
    return "\n".join(f"{label:8} {one_line(text)}" for label, text in lines(response, now))


def lines(response: GetInfoResponse, now: datetime) -> Iterator[tuple[str, str]]:
    conference = response.video_conference
    yield "call", conference.title or words(conference, "type")
    status = words(conference, "status")
    if conference.HasField("ended_at"):
        # Some providers set it without a change of status.
        status += f", over since {at(conference.ended_at)}"
    yield "status", status
    for user in conference.users:
        yield "with", person(user) + presence(user)
    if conference.anonymous_users:
        yield "with", f"{conference.anonymous_users} without an account"
    if conference.HasField("created_at"):
        created = at(conference.created_at)
        if conference.HasField("created_by"):
            created += f" by {person(conference.created_by)}"
        yield "created", created
    if response.HasField("read_at"):
        # By two clocks, the facade's and ours, which may differ.
        age = max(0.0, now.timestamp() - response.read_at.ToNanoseconds() / 1e9)
        yield "read", f"{age:.1f} s ago"
    for text in additional(conference, ""):
        yield "also", text


def words(message: Message, field: str) -> str:
    """Makes "started" of VIDEO_CONFERENCE_STATUS_STARTED, and "9" of a value that is newer than
    this client's proto."""
    number = getattr(message, field)
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    if number not in enum.values_by_number:
        return str(number)
    if number == 0:
        # Absent, or not known to the facade: then it is an "also".
        return "unknown"
    # The value 0 of each enum is its prefix and UNSPECIFIED.
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return enum.values_by_number[number].name.removeprefix(prefix).replace("_", " ").lower()


def person(user: Message) -> str:
    if user.name and user.username:
        return f"{user.name} ({user.username})"
    return user.name or user.username or user.id


def presence(user: VideoConferenceUser) -> str:
    """Is told by Rocket.Chat 8.9 and later; before, who is listed joined."""
    if user.HasField("left_at"):
        reason = f": {words(user, 'left_reason')}" if user.left_reason else ""
        return f", left {at(user.left_at)}{reason}"
    if user.declined:
        return ", declined"
    if user.HasField("joined") and not user.joined:
        return ", not joined"
    return ""


def at(moment: Timestamp) -> str:
    return moment.ToJsonString()[:19].replace("T", " ") + "Z"


def additional(message: Message, path: str) -> Iterator[str]:
    """Finds what stands in `additional_fields` of a message and of those within: what the proto
    doesn't know, or what doesn't fit it."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Struct):
            for key, member in sorted(json_format.MessageToDict(value).items()):
                yield f"{path}{key}: {json.dumps(whole(member), ensure_ascii=False)}"
        elif field.is_repeated:
            for i, within in enumerate(value):
                yield from additional(within, f"{path}{field.json_name}[{i}].")
        else:
            yield from additional(value, f"{path}{field.json_name}.")


def whole(value: object) -> object:
    """Makes 5 of 5.0, since all numbers are doubles in a Struct."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, list):
        return [whole(v) for v in value]
    if isinstance(value, dict):
        return {k: whole(v) for k, v in value.items()}
    return value
