"""Runs the example clients against a facade, and prints what each has shown: client x case.

With a Python that has the example's packages: run.py FACADE NAME=COMMAND...
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cases import cases
from newer import Newer

sys.path.append(str(Path(__file__).parents[1]))
from facade import Facade
from upstream import Upstream

USER_ID, AUTH_TOKEN = "CkCPNctrgCDfmWLqC", "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"


class Servers:
    """Where the facades of one run listen, and what is needed to be let in."""


class Ran:
    """A client that has ended. If it is to be interrupted, it takes from then on."""

    def __init__(self, command, environment, interrupted_when):
        pipe = subprocess.PIPE
        client = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        began = time.monotonic()
        if interrupted_when:
            while not interrupted_when() and time.monotonic() < began + 30:
                time.sleep(0.02)
            began = time.monotonic()
            client.send_signal(signal.SIGINT)
        try:
            self.stdout, self.stderr = client.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            client.kill()
            client.wait()
            raise AssertionError("still running after a minute") from None
        self.took = time.monotonic() - began
        self.status = client.returncode

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
    demo = Facade([facade, "demo"])
    # What there is to try comes before or after the line that it waits for.
    while "Users:\n" not in demo.lines:
        demo.next_line()
    demo.drain()
    said = "".join(demo.lines)
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
        serve = [facade, "serve", "--upstream-url", upstream.url, "--upstream-limit", "none"]
        secured = ["--tls-cert", cert, "--tls-key", key]
        newer = Newer()
        servers.newer = newer.target
        servers.running = {
            "plain": Facade(serve),
            "tls": Facade([*serve, *secured]),
            "mutual": Facade([*serve, *secured, "--tls-client-ca", servers.ca]),
        }
        for name, server in servers.running.items():
            setattr(servers, name, f"localhost:{server.drain().port}")
        table = {}
        for name, command in clients.items():
            table[name] = shown(name, shlex.split(command), servers, upstream, calls)
        for server in [*servers.running.values(), demo]:
            server.stop()
    sys.exit(report(table))


def shown(name, command, servers, upstream, calls):
    """What was wrong with each case, or None."""
    outcomes = {}
    for case in cases(name, servers, upstream, calls):
        token = AUTH_TOKEN if case.user else "wrong"
        environment = {**os.environ, "VIDEOCONF_USER_ID": USER_ID, "VIDEOCONF_AUTH_TOKEN": token}
        try:
            case.check(Ran([*command, *case.arguments], environment, case.interrupted_when))
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
