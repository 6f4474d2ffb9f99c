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
# Grafana's names: shares are of one, times in seconds.
UNITS = {"percentunit", "s", "reqps", "bytes", "short", "none"}
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


def untold():
    """What is missing from the rules and their tests for an alert to reach somebody."""
    rules, tests = RULES.read_text(), (ROOT / "deploy/prometheus/alerts.test.yml").read_text()
    for alert in rules.split("- alert: ")[1:]:
        if not re.search(r"labels: { severity: (critical|warning) }", alert):
            yield f"{alert.split()[0]} has no severity"
    alerts = set(re.findall(r"alert: (\S+)", rules))
    for state, pattern in [("silent", r"eval_time: \w+, alertname: (\w+)"), ("firing", r'alertname="(\w+)"')]:
        for alert in alerts ^ set(re.findall(pattern, tests)):
            yield f"{alert} isn't tested to be {state}"
    told = {reason for it in re.findall(r'reason=~?"([^"]*)"', rules) for reason in it.split("|")}
    for reason in (reasons() ^ told) ^ CALLERS:
        yield f"{reason} is told of by no alert, or isn't a reason"


def misnamed(prometheus):
    """What the dashboard and the rules call by names that nobody knows."""
    text, rules = DASHBOARD.read_text(), RULES.read_text()
    dashboard = json.loads(text)
    groups = re.findall(r"\b(?:by|on) \(([^)]*)\)", text + rules)
    labels = {label for group in groups for label in group.split(", ")}
    labels.update(re.findall(r"{{(\w+)}}", text), re.findall(r"\$labels\.(\w+)", rules))
    # Not all of them are there while all is well.
    described = re.findall(r"`(\w+)`", (ROOT / "docs/metrics.md").read_text())
    yield from (f"the label {it}" for it in labels - {*prometheus.get("labels"), *described})
    variables = {it["name"]: it["type"] for it in dashboard["templating"]["list"]}
    used = set(re.findall(r"\${?(\w+)", text))
    yield from (f"the variable {it}" for it in used - {*variables, "__rate_interval", "__all"})
    yield from (f"the type of {it}" for it, kind in variables.items() if kind not in ("datasource", "query"))
    for panel in dashboard["panels"]:
        if panel["type"] not in ("stat", "timeseries") or panel["fieldConfig"]["defaults"]["unit"] not in UNITS:
            yield f"the type or the unit of {panel['title']}"
    metrics = re.findall(r"label_values\((\w+),", text)
    yield from (f"the metric {it}" for it in metrics if not prometheus.values(it))


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
        wrong = [*untold(), *misnamed(prometheus)]
        firing = [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
    print(f"{len(queries())} queries, {len(rules)} rules, {len(firing)} alerts firing")
    for name in without:
        print(f"FAILED: no data for {name}")
    for name in broken:
        print(f"FAILED: the rule {name} can't be evaluated")
    for name in wrong:
        print(f"FAILED: {name}")
    sys.exit(1 if without or broken or wrong or len(rules) < 10 else 0)


if __name__ == "__main__":
    main()
