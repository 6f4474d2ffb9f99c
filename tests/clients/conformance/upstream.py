"""A Rocket.Chat between the facade and the stand-in: remembers what was said, and says other things if
a call's id asks for them."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import answering

HANG = 20

# What this version of the facade doesn't know: a type, and members.
NEWER = json.dumps(
    {
        "_id": "newer",
        "type": "hologram",
        "status": 1,
        "title": "Übergabe",
        "users": [{"_id": "mia", "username": "mia", "pronouns": "she"}],
        "moderators": ["mia", None, 2.5, {"deep": [True]}],
        "success": True,
    }
).encode()

# The answers to calls with these ids: status, headers, body.
SCRIPTED = {
    "forbidden": (403, {}, b'{"success":false,"error":"unauthorized"}'),
    "gone": (404, {}, b'{"success":false,"error":"not found"}'),
    "failed": (500, {}, b'{"success":false,"error":"boom"}'),
    "newer": (200, {}, NEWER),
    "html": (200, {"Content-Type": "text/html"}, b"<html></html>"),
}


class Upstream:
    """Listens on a free port, before `stand_in`."""

    def __init__(self, stand_in):
        self.stand_in = stand_in
        # What was said of each call last, and when it was asked for.
        self.said = {}
        self.asked = {}
        self.lock = threading.Lock()
        self.url = answering.serve(self.answer)

    def answer(self, request):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        call_id = query["callId"][0]
        with self.lock:
            times = self.asked.setdefault(call_id, [])
            times.append(time.monotonic())
            is_first = len(times) == 1
        if call_id.startswith("hang"):
            time.sleep(HANG)
        if call_id.startswith("later") and is_first:
            # A second, after which it goes well.
            status, headers, body = 503, {"Retry-After": "1"}, b""
        elif call_id.startswith("later"):
            status, headers, body = 200, {}, b'{"_id":"later","success":true}'
        elif call_id in SCRIPTED:
            status, headers, body = SCRIPTED[call_id]
        else:
            status, headers, body = self.forward(request)
        if status == 200:
            self.said[call_id] = body
        try:
            answering.send(request, status, headers, body)
        except BrokenPipeError:
            pass  # Whoever has hung long enough is alone.

    def forward(self, request):
        names = ("X-User-Id", "X-Auth-Token")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        asked = urllib.request.Request(self.stand_in + request.path, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, {}, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, {}, refusal.read()

    def conference(self, call_id):
        """What was said last of a call, as protobuf's JSON has it."""
        conference = without_nothing(json.loads(self.said[call_id]))
        del conference["success"]
        conference["type"] = "VIDEO_CONFERENCE_TYPE_" + conference["type"].upper()
        statuses = ["CALLING", "STARTED", "EXPIRED", "ENDED", "DECLINED"]
        conference["status"] = "VIDEO_CONFERENCE_STATUS_" + statuses[conference["status"]]
        return conference


def without_nothing(value):
    """protobuf doesn't tell null, and an empty list, from nothing."""
    if isinstance(value, list):
        return [without_nothing(it) for it in value]
    if isinstance(value, dict):
        there = {key: it for key, it in value.items() if it is not None and it != []}
        return {key: without_nothing(it) for key, it in there.items()}
    return value
