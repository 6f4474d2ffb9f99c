"""A Rocket.Chat that knows every call, and enforces its limit of 15 requests per 3 s."""

import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIMIT, SPAN = 15, 3.0


class Upstream:
    """Listens on a free port."""

    def __init__(self):
        self.accepted = self.refused = 0
        # As Rocket.Chat's: a window begins with the first request after the last one's end.
        self.began, self.count = 0.0, 0
        self.lock = threading.Lock()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                upstream.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request):
        status, remaining, reset = self.admit()
        if status == 200:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
            body = {"_id": query["callId"][0], "type": "videoconference", "success": True}
        else:
            body = {"success": False, "error": "Error, too many requests. [error-too-many-requests]"}
        body = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.send_header("X-RateLimit-Limit", str(LIMIT))
        request.send_header("X-RateLimit-Remaining", str(remaining))
        request.send_header("X-RateLimit-Reset", str(round(reset * 1000)))
        request.end_headers()
        request.wfile.write(body)

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
