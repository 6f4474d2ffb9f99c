"""Runs stock clients with the service config, each with more callers than the facade can serve at once, and
prints how they fared. Each has a facade and a Rocket.Chat of its own, so that they run side by side.

Usage: run.py FACADE NAME=COMMAND...
"""

import collections
import json
import shlex
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from facade import Facade
from upstream import Upstream

CALLERS = 120
# How long after it was due a client may come again, in seconds: two cores carry all of them.
LATE = 1.0


class Run:
    """One client's calls, and what each of the three sides saw."""

    def __init__(self, binary, command):
        self.upstream = Upstream()
        self.facade = Facade([binary, "serve", "--upstream-url", self.upstream.url]).drain()
        target = f"localhost:{self.facade.port}"
        self.client = subprocess.Popen([*command, target, str(CALLERS)], stdout=subprocess.PIPE, text=True)
        self.waiter = threading.Thread(target=self.wait)
        self.waiter.start()

    def wait(self):
        try:
            said, _ = self.client.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self.client.kill()
            said = ""
        self.codes = {code: int(times) for code, times in (line.split() for line in said.splitlines())}
        self.facade.stop()

    def attempts(self):
        """Each call's attempts, by its request id: when each came and ended, and what it was told."""
        calls = collections.defaultdict(list)
        for line in map(json.loads, self.facade.lines):
            if line["target"] == "access" and line.get("request_id", "").startswith("call-"):
                ended = datetime.fromisoformat(line["timestamp"]).timestamp()
                calls[line["request_id"]].append((ended - line["ms"] / 1000, ended, line.get("retry_ms")))
        return calls

    def outcome(self):
        """A row of the table, and what is wrong about it."""
        self.waiter.join()
        calls = self.attempts()
        waits = [
            (after[0] - before[1], before[2] / 1000)
            for attempts in calls.values()
            for before, after in zip(attempts, attempts[1:])
        ]
        off = [waited - told for waited, told in waits]
        ok = self.codes.get("OK", 0)
        most = max(map(len, calls.values()), default=0)
        row = [ok, len(waits), most, f"{min(off, default=0):+.3f} s", f"{max(off, default=0):+.3f} s"]
        row += [self.upstream.accepted, self.upstream.refused]
        problems = []
        if ok < 0.95 * CALLERS:
            problems.append(f"ended as {self.codes}")
        if not waits:
            problems.append("nobody was told to come again")
        # The log has the time as it is written, up to ten milliseconds after the end.
        if any(not -0.05 <= it <= LATE for it in off):
            problems.append("the time that it was told was not kept")
        if self.upstream.refused:
            problems.append("Rocket.Chat had to refuse")
        return row, problems


def main():
    runs = {}
    for client in sys.argv[2:]:
        name, command = client.split("=", 1)
        runs[name] = Run(sys.argv[1], shlex.split(command))
    print(f"{CALLERS} callers, each with a call of its own and a minute, before a limit of 15 per 3 s:\n")
    print("| client | OK | came again | most attempts | soonest | latest | reads | 429s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    failed = []
    for name, run in runs.items():
        row, problems = run.outcome()
        print(f"| {name} |", " | ".join(map(str, row)), "|")
        failed += [f"{name}: {problem}" for problem in problems]
    for problem in failed:
        print("FAILED:", problem)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
