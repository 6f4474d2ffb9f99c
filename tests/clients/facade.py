"""A command of the facade that serves, for the clients' checks."""

import json
import subprocess
import sys
import threading
import time


class Facade:
    """Serves from here on, until `stop`."""

    def __init__(self, command):
        options = ["--log-format", "json", "--listen", "localhost:0"]
        self.process = subprocess.Popen(
            [*command, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        # All that it has said.
        self.lines = []
        while '"message":"serving"' not in self.next_line():
            pass
        self.port = json.loads(self.lines[-1])["listen"].rsplit(":", 1)[1]

    def next_line(self):
        line = self.process.stderr.readline() or sys.exit(f"{self.process.args} ended: {self.lines}")
        self.lines.append(line)
        return line

    def drain(self):
        """Lets it write on, so that it never meets a full pipe."""
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()
        return self

    def wait_for_line(self, text):
        """A line with this text, which is then taken away; None if none comes."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for line in [it for it in self.lines if text in it]:
                self.lines.remove(line)
                return line
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
