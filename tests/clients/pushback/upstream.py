"""A Rocket.Chat that knows every call, and enforces its limit of 15 requests per 3 s."""

import json
import threading
import time
import urllib.parse

import answering

LIMIT, SPAN = 15, 3.0


class Upstream:
    """Listens on a free port."""

    def __init__(self):
        self.accepted = self.refused = 0
        # As Rocket.Chat's: a window begins with the first request after the last one's end.
        self.began, self.count = 0.0, 0
        self.lock = threading.Lock()
        self.url = answering.serve(self.answer)

    def answer(self, request):
        status, remaining, reset = self.admit()
        if status == 200:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
            body = {"_id": query["callId"][0], "type": "videoconference", "success": True}
        else:
            body = {"success": False, "error": "Error, too many requests. [error-too-many-requests]"}
        body = json.dumps(body).encode()
        limit = {"Limit": LIMIT, "Remaining": remaining, "Reset": round(reset * 1000)}
        answering.send(request, status, {f"X-RateLimit-{name}": str(it) for name, it in limit.items()}, body)

    def admit(self):
        with self.lock:
            now = time.time()
            if now - self.began > SPAN:
                self.began, self.count = now, 0
            self.count += 1
            is_accepted = self.count <= LIMIT
            self.accepted += is_accepted
            self.refused += not is_accepted
            return (200 if is_accepted else 429), max(0, LIMIT - self.count), self.began + SPAN
