"""Has Prometheus scrape a demo under load, and asks it all that the dashboard and the rules ask.

Usage: queries.py FACADE, with prometheus and ghz on the PATH.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy/grafana/videoconf-facade.json"
RULES = ROOT / "deploy/prometheus/rules.yml"
JOB = "videoconf-facade"
# What is wrong at the caller, or isn't wrong: no alert tells of it.
CALLERS = {
    "CALL_NOT_FOUND",
    "CALL_NOT_FOUND_OR_NOT_VISIBLE",
    "CREDENTIALS_MALFORMED",
    "CREDENTIALS_MISSING",
    "DEADLINE_EXCEEDED",
    "FORBIDDEN",
    "INVALID_CALL_ID",
    "INVALID_MAX_AGE",
    "INVALID_PARAMS",
    "SHUTTING_DOWN",
    "UPSTREAM_REJECTED",
}
USER = {"x-user-id": "CkCPNctrgCDfmWLqC", "x-auth-token": "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"}
GET_INFO = "rocketchat.videoconference.v1.VideoConferenceService/GetInfo"

# What Grafana puts in their place.
VARIABLES = {"$__rate_interval": "10s", "$instance": ".*"}


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def addresses(log):
    """Where the demo listens, for callers and for operators."""
    found = {}
    for line in log:
        for what in ("The facade", "For operators"):
            if line.startswith(what):
                found[what] = re.search(r"(\d+\.\d+\.\d+\.\d+:\d+)", line)[1]
        if len(found) == 2:
            return found["The facade"], found["For operators"]
    sys.exit("the demo ended")


def load(address, user, call_id, seconds):
    command = ["ghz", "--insecure", "--rps", "50", "--duration", f"{seconds}s", "--format", "json", "--call", GET_INFO]
    metadata = ["--metadata", json.dumps(user), "--data", json.dumps({"call_id": call_id})]
    return subprocess.Popen([*command, *metadata, address], stdout=subprocess.DEVNULL)


def config(folder, operators):
    """As deploy/ has it, but all within seconds."""
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    text = text.replace("scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s")
    assert '"127.0.0.1:9464"' in text and f"job_name: {JOB}" in text
    targets = ", ".join(f'"{it}"' for it in operators)
    (folder / "prometheus.yml").write_text(text.replace('"127.0.0.1:9464"', targets))
    (folder / "rules.yml").write_text(RULES.read_text())
    return folder / "prometheus.yml"


def sharing(stack, folder):
    """A facade that shares a store: where operators look."""
    (folder / "key").write_text("k" * 32)
    socket = f"{folder}/store"
    store = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", ""]
    stack.enter_context(running(store, stdout=subprocess.DEVNULL))
    shared = ["--shared-store", f"unix://{socket}", "--shared-store-key-file", f"{folder}/key"]
    serve = [sys.argv[1], "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *shared]
    facade = [*serve, "--upstream-url", "http://127.0.0.1:1", "--log-format", "json"]
    process = stack.enter_context(running(facade, stderr=subprocess.PIPE, text=True))
    for line in process.stderr:
        if json.loads(line)["message"] == "serving operators":
            return json.loads(line)["listen"]
    sys.exit("the facade ended")


class Prometheus:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path, **parameters):
        with urllib.request.urlopen(f"{self.base}/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query):
        result = self.get("query", query=query)["result"]
        return [float(series["value"][1]) for series in result]


def queries():
    """What the dashboard asks, by its panels' titles, and each metric that the rules read."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            found[f"{panel['title']}: {query}"] = query
    for record in re.findall(r"record: (\S+)", RULES.read_text()):
        found[record] = record
    return found


def misnamed(prometheus):
    """What the dashboard and the rules call by names that nobody knows, or don't name."""
    dashboard, rules = DASHBOARD.read_text(), RULES.read_text()
    for alert in re.split(r"- alert: ", rules)[1:]:
        if not re.search(r"labels: { severity: (critical|warning) }", alert):
            yield f"the severity of {alert.split()[0]}"
    tests = (ROOT / "deploy/prometheus/alerts.test.yml").read_text()
    alerts = set(re.findall(r"alert: (\S+)", rules))
    if alerts != set(re.findall(r"eval_time: \w+, alertname: (\w+)", tests)):
        yield "alerts that aren't tested while all is well"
    if alerts != set(re.findall(r'alertname="(\w+)"', tests)):
        yield "alerts that aren't tested while nothing is"
    told = {reason for it in re.findall(r'reason=~?"([^"]*)"', rules) for reason in it.split("|")}
    if told ^ reasons() != CALLERS:
        yield f"reasons that no alert tells of: {(told ^ reasons()) ^ CALLERS}"
    of_groups = [it for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", dashboard + rules) for it in group.split(", ")]
    labels = {*of_groups, *re.findall(r"{{(\w+)}}", dashboard), *re.findall(r"\$labels\.(\w+)", rules)}
    # Not all of them are there while all is well.
    described = re.findall(r"`(\w+)`", (ROOT / "docs/metrics.md").read_text())
    for label in sorted(labels - {*prometheus.get("labels"), *described}):
        yield f"the label {label}"
    variables = [it["name"] for it in json.loads(dashboard)["templating"]["list"]]
    if {it["type"] for it in json.loads(dashboard)["templating"]["list"]} != {"datasource", "query"}:
        yield "the type of a variable"
    for panel in json.loads(dashboard)["panels"]:
        # Shares are of one, times in seconds; the rest is counted.
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if panel["type"] not in ("stat", "timeseries") or unit not in ("percentunit", "s", "reqps", "bytes", "short", "none"):
            yield f"the type or the unit of {panel['title']}"
    for variable in sorted(set(re.findall(r"\${?(\w+)", dashboard)) - {*variables, "__rate_interval", "__all"}):
        yield f"the variable {variable}"
    for metric in re.findall(r"label_values\((\w+),", dashboard):
        if not prometheus.values(metric):
            yield f"the metric {metric}"


def reasons():
    proto = (ROOT / "proto/rocketchat/videoconference/v1/video_conference_service.proto").read_text()
    return set(re.findall(r"ERROR_REASON_(\w+) = ", proto)) - {"UNSPECIFIED"}


def undescribed():
    """Alerts that lead nowhere, and reasons of which the runbook says nothing."""
    sections = set(re.findall(r"^### (\S+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))
    rules = RULES.read_text()
    anchors = set(re.findall(r"runbook: docs/runbook.md#(\S+)", rules))
    alerts = re.findall(r"alert: (\S+)", rules)
    assert anchors == {name.lower() for name in alerts}, anchors
    return sorted((reasons() | set(alerts)) - sections)


def main():
    if missing := undescribed():
        sys.exit(f"not in docs/runbook.md: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        demo = [sys.argv[1], "demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        process = stack.enter_context(running(demo, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
        callers, operators = addresses(process.stderr)
        # Read on, so that the demo never meets a full pipe.
        subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        loads = [
            load(callers, USER, "697866d5c8b053302078137a", 15),
            load(callers, {**USER, "x-auth-token": "wrong"}, "697866d5c8b053302078137a", 15),
        ]
        port = free_port()
        storage = f"--storage.tsdb.path={folder / 'data'}"
        command = ["prometheus", f"--config.file={config(folder, [operators, sharing(stack, folder)])}", storage, f"--web.listen-address=127.0.0.1:{port}"]
        stack.enter_context(running(command, stderr=(folder / "log").open("w")))
        for it in loads:
            it.wait()
        prometheus = Prometheus(port)
        without = {name: query for name, query in queries().items() if not prometheus.values(query)}
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        broken = [rule["name"] for rule in rules if rule["health"] != "ok"]
        unknown = list(misnamed(prometheus))
        firing = [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
    print(f"{len(queries())} queries, {len(rules)} rules, {len(firing)} alerts firing")
    for name in without:
        print(f"FAILED: no data for {name}")
    for name in broken:
        print(f"FAILED: the rule {name} can't be evaluated")
    for name in unknown:
        print(f"FAILED: {name}")
    sys.exit(1 if without or broken or unknown or len(rules) < 10 else 0)


if __name__ == "__main__":
    main()
