"""What the program says of failures, and its exit status."""

import json
import sys

from videoconf import Error


class UsageError(Exception):
    """What the user, not the facade, has to mend."""


def fail(error: Exception, *, as_json: bool) -> int:
    """Tells what went wrong and returns the exit status."""
    print(f"info: {one_line(str(error))}", file=sys.stderr)
    if as_json:
        print(json.dumps(as_object(error), indent=2, ensure_ascii=False))
    if isinstance(error, UsageError):
        return 2
    if not isinstance(error, Error):
        return 1
    if error.call_not_found:
        return 3
    if error.bad_request:
        return 4
    if error.bad_credentials:
        return 5
    if error.try_later:
        return 6
    if error.deadline_exceeded:
        return 7
    return 1


def as_object(error: Exception) -> dict[str, object]:
    if not isinstance(error, Error):
        return {"message": str(error)}
    found: dict[str, object] = {"code": error.code.name, "message": error.message}
    if error.reason:
        found["reason"] = error.reason
    if error.metadata:
        found["metadata"] = error.metadata
    if error.retry_delay is not None:
        found["retryDelayMs"] = round(error.retry_delay * 1000)
    if error.field_violations:
        found["fieldViolations"] = [v._asdict() for v in error.field_violations]
    if error.request_id:
        found["requestId"] = error.request_id
    return found


def one_line(text: str) -> str:
    """Keeps newlines and a terminal's control codes, which may be in a title or in a message of
    Rocket.Chat's, from the terminal."""
    return "".join(c if c == " " or c.isprintable() else " " for c in text)
