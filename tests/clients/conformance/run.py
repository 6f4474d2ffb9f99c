"""Runs the example clients against a facade, and prints what each has shown: client x case.

Usage: run.py FACADE NAME=COMMAND...
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cases import cases
from upstream import Upstream

USER_ID, AUTH_TOKEN = "CkCPNctrgCDfmWLqC", "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"


class Server:
    """A command of the facade that serves, as long as this is used."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if '"message":"serving"' in line:
                self.port = json.loads(line)["listen"].rsplit(":", 1)[1]
                break
        else:
            sys.exit(f"{command} ended: {self.lines}")

    def drain(self):
        """Lets it write on, so that it never meets a full pipe."""
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Servers:
    """Where the facades of one run listen, and what is needed to be let in."""


class Ran:
    """A client that has ended."""

    def __init__(self, command, environment):
        began = time.monotonic()
        try:
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after a minute") from None
        self.took = time.monotonic() - began
        self.status, self.stdout, self.stderr = ran.returncode, ran.stdout, ran.stderr

    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no JSON: {self.stdout[:200]!r} {self.stderr[:200]!r}") from None


def certificate(folder, name, authority=None):
    """Makes one with openssl: an authority, or a certificate of one."""
    key, pem, request = (folder / f"{name}.{end}" for end in ("key", "pem", "csr"))

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
    if authority is None:
        openssl("req", "-x509", *new_key, "-days", "2", "-out", pem)
    else:
        openssl("req", *new_key, "-out", request)
        names = folder / f"{name}.ext"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        signer = ["-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *signer, "-days", "2", "-extfile", names, "-out", pem)
    return str(pem), str(key)


def main():
    facade, clients = sys.argv[1], dict(it.split("=", 1) for it in sys.argv[2:])
    json_log = ["--log-format", "json", "--listen", "localhost:0"]
    demo = Server([facade, "demo", *json_log])
    # What there is to try comes before or after that line.
    said = "".join(demo.lines)
    while "\nUsers:" not in said:
        said += demo.process.stderr.readline() or sys.exit(f"the demo ended: {said}")
    demo.drain()
    stand_in = re.search(r"stand-in: (http://\S+)", said)[1]
    calls = re.findall(r"^  ([0-9a-f]{24})  ", said, re.MULTILINE)
    upstream = Upstream(stand_in)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        servers = Servers()
        servers.ca, _ = certificate(folder, "ca")
        servers.other_ca, _ = certificate(folder, "other-ca")
        cert, key = certificate(folder, "server", "ca")
        servers.client_cert, servers.client_key = certificate(folder, "client", "ca")
        serve = [facade, "serve", *json_log, "--upstream-url", upstream.url, "--upstream-limit", "none"]
        secured = ["--tls-cert", cert, "--tls-key", key]
        running = {
            "plain": Server(serve),
            "tls": Server([*serve, *secured]),
            "mutual": Server([*serve, *secured, "--tls-client-ca", servers.ca]),
        }
        for name, server in running.items():
            setattr(servers, name, f"localhost:{server.drain().port}")
        table = {}
        for name, command in clients.items():
            table[name] = shown(name, shlex.split(command), servers, upstream, calls)
        for server in [*running.values(), demo]:
            server.stop()
    sys.exit(report(table))


def shown(name, command, servers, upstream, calls):
    """What was wrong with each case, or None."""
    outcomes = {}
    for case in cases(name, servers, upstream, calls):
        token = AUTH_TOKEN if case.user else "wrong"
        environment = {**os.environ, "VIDEOCONF_USER_ID": USER_ID, "VIDEOCONF_AUTH_TOKEN": token}
        try:
            case.check(Ran([*command, "--json", *case.arguments], environment))
            outcomes[case.name] = None
        except (AssertionError, KeyError, ValueError) as problem:
            outcomes[case.name] = f"{type(problem).__name__}: {problem}"
    return outcomes


def report(table):
    """Prints the table, and what was wrong; the exit status."""
    names = list(table)
    widths = [max(len(name), 6) for name in names]
    cases_seen = list(next(iter(table.values())))
    print("| case".ljust(20), *(f"| {n.ljust(w)}" for n, w in zip(names, widths)), "|")
    print("|" + "-" * 19, *("|" + "-" * (w + 1) for w in widths), "|")
    failures = []
    for case in cases_seen:
        cells = []
        for name, width in zip(names, widths):
            problem = table[name].get(case, "not run")
            cells.append(f"| {('ok' if problem is None else 'FAILED').ljust(width)}")
            if problem is not None:
                failures.append(f"{name}, {case}: {problem}")
        print(f"| {case}".ljust(20), *cells, "|")
    for failure in failures:
        print("FAILED:", failure)
    print(f"{len(cases_seen) * len(names) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    main()
