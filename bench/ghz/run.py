#!/usr/bin/env python3
"""Load with ghz, by profiles, and whether each ends as it promises. See README.md beside this file."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from picture import picture

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROFILES = ["steady", "step", "burst", "mixed", "no-permission"]

# What the profiles have of the demo's, and what is replaced by one's own before another facade.
CONFERENCES = ["697866d5c8b053302078137a", "6980a1f2c4d7e80b6f3c5d19", "6980b3374be75f13c6a8e2b0",
               "69a40cb213de5b28f90b4c5a", "67c3e19d0ab4f2867d15e930"]
USER_IDS = ["CkCPNctrgCDfmWLqC", "fRv4qm8ycWHXSA7af"]
AUTH_TOKENS = ["1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE", "q7Zt0bLwR3uVxN8sYk_5HfGdPc2MjAeE9iT4oKnBrX1"]
TLS = ["insecure", "cacert", "cert", "key", "cname", "skipTLS"]


def give_up(line):
    """Nothing was found out: that is another exit status than a broken promise."""
    print(line, file=sys.stderr)
    sys.exit(2)


# What is run.

def load(name, options):
    try:
        text = (HERE / f"{name}.json").read_text()
    except OSError:
        give_up(f"{name}: there is no such profile")
    if options.address:
        text = with_ones_own(text, options)
    config = json.loads(text)
    if options.seconds:
        shorten(config, options.seconds)
    return config


def with_ones_own(text, options):
    """The profile with one's own credentials and conferences, in place of the demo's."""
    own = [os.environ.get(name) for name in ("VIDEOCONF_USER_ID", "VIDEOCONF_AUTH_TOKEN")]
    if any(own) and not (all(own) and options.call_id):
        give_up("VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN and --call-id go together")
    replaced = {}
    if all(own):
        replaced |= dict.fromkeys(USER_IDS, own[0]) | dict.fromkeys(AUTH_TOKENS, own[1])
    for number, conference in enumerate(CONFERENCES if options.call_id else []):
        replaced[conference] = options.call_id[number % len(options.call_id)]
    for theirs, ours in replaced.items():
        text = text.replace(theirs, json.dumps(ours)[1:-1])
    return text


def seconds(text):
    return float(text.removesuffix("s"))


def shorten(config, duration):
    """The same in another time."""
    factor = duration / seconds(config["duration"])
    config["duration"] = f"{duration:g}s"
    if "load-step-duration" in config:
        step = seconds(config["load-step-duration"])
        shorter = round(step * factor, 3)
        config["load-step-duration"] = f"{shorter:.3f}s"
        if "load-max-duration" in config:
            # In whole steps still: ghz miscounts the calls of a part of one, and stops calling.
            steps = round(seconds(config["load-max-duration"]) / step)
            config["load-max-duration"] = f"{steps * shorter:.3f}s"


def rate(config, second):
    """How many calls a second are asked for then."""
    if "rps" in config:
        return config["rps"]
    asked = config["load-start"] + config["load-step"] * int(second / seconds(config["load-step-duration"]))
    if "load-max-duration" in config:
        return asked if second < seconds(config["load-max-duration"]) else config["load-end"]
    return min(asked, config["load-end"])


def calls_asked(config):
    steps = 100
    return sum(rate(config, it / steps) for it in range(int(seconds(config["duration"]) * steps))) / steps


# How it is run.

@contextlib.contextmanager
def demo(facade, work):
    """The demo on a free port, as it is without any variable, and where it listens."""
    log = work / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIDEOCONF_")}
    try:
        with open(log, "w") as stderr:
            process = subprocess.Popen([facade, "demo", "--listen", "127.0.0.1:0"], env=environment,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
    except OSError as error:
        give_up(f"the demo doesn't start: {error}; cargo build --release makes it")
    try:
        yield address_in(log, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address_in(log, process):
    for _ in range(1000):
        if found := re.search(r"^The facade: +(\S+)$", log.read_text(), re.MULTILINE):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.01)
    give_up(f"the demo doesn't start: {last_line(log.read_text())}")


def last_line(text):
    return text.strip().rpartition("\n")[2] or "it says nothing"


def ghz(program, config, work):
    """The report of a run. What is asked is in a file, so that no token is among the arguments."""
    file = work / "config.json"
    file.write_text(json.dumps(config | {"format": "json"}))
    longest = seconds(config["duration"]) + 60
    try:
        done = subprocess.run([program, "--config", file], capture_output=True, text=True, timeout=longest)
    except subprocess.TimeoutExpired:
        give_up(f"{config['name']}: ghz doesn't end")
    if done.returncode != 0:
        give_up(f"{config['name']}: ghz: {last_line(done.stderr)}")
    report = json.loads(done.stdout)
    report["options"].pop("metadata", None)
    return report


def run(program, config, options):
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        work = pathlib.Path(folder)
        if options.address:
            where = {"host": options.address} | {name: getattr(options, name) for name in TLS}
        else:
            # One of its own, so that no profile finds what another has left.
            where = {"host": stack.enter_context(demo(options.facade, work))}
        return ghz(program, config | where, work)


# What came of it.

class Result:
    def __init__(self, config, report):
        self.config, self.report = config, report
        self.name, self.duration = config["name"], seconds(config["duration"])
        self.calls = calls_of(config, report)
        self.broken = broken(config, report)
        self.verdict = "; ".join(self.broken) or "ok"

    def rate(self, second):
        return rate(self.config, second)


def broken(config, report):
    """What isn't as the profile promises."""
    codes, count = report["statusCodeDistribution"], report["count"]
    if not count:
        return ["no call was made"]
    found, promised = [], set()
    for part in config["tags"]["promise"].removesuffix(" %").split(" %, "):
        names, _, share = part.rpartition(" ")
        promised.update(names.split(" or "))
        percent = 100 * sum(codes.get(name, 0) for name in names.split(" or ")) / count
        # The last round of a rotation may be cut short.
        if abs(percent - float(share)) > 1:
            found.append(f"{names} has {percent:.1f} %, not {share} %")
    for code in sorted(codes.keys() - promised):
        said = next((text for text in report["errorDistribution"] if f" code = {code} " in text), "")
        found.append(f"{codes[code]:,} {code}: {said.partition(' desc = ')[2] or 'unpromised'}")
    if count < 0.95 * calls_asked(config):
        found.append(f"ghz made {count:,} of {calls_asked(config):,.0f} calls: this machine can't keep up")
    return found


def calls_of(config, report):
    """When each call began, in seconds from the start of ghz; its latency in ms; its code."""
    calls = []
    for call in report["details"] or []:
        ended = datetime.datetime.fromisoformat(call["timestamp"]).timestamp()
        calls.append((ended - call["latency"] / 1e9, call["latency"] / 1e6, call["status"]))
    # ghz lets the first call wait as long as the others do.
    start = min(calls)[0] - 1 / rate(config, 0) if calls else 0
    return [(at - start, latency, code) for at, latency, code in calls]


def table(results):
    lines = ["| profile | asked | promised | calls | a second | code | p50 | p95 | p99 | slowest | verdict |",
             "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for it in results:
        tags, count = it.config["tags"], it.report["count"]
        first = [it.name, f"{tags['asks']}; {it.duration:g} s", tags["promise"], f"{count:,}", f"{count / it.duration:,.0f}"]
        last = it.verdict.replace("|", "\\|")
        for code in sorted(it.report["statusCodeDistribution"], key=lambda code: (code != "OK", code)) or [""]:
            lines.append("| " + " | ".join([*first, *latencies(it.calls, code), last]) + " |")
            first, last = [""] * len(first), ""
    return "\n".join(lines)


def latencies(calls, code):
    """The columns of a code: how many calls, and how long they took."""
    sorted_ms = sorted(latency for _, latency, its_code in calls if its_code == code)
    if not sorted_ms:
        return ["none", "", "", "", ""]
    at = lambda share: f"{sorted_ms[min(int(len(sorted_ms) * share), len(sorted_ms) - 1)]:,.1f} ms"
    return [f"{len(sorted_ms):,} {code}", at(0.5), at(0.95), at(0.99), at(1)]


def machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    cpu = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return f"{os.cpu_count()} cores" + (f" ({cpu[1]})" if cpu else "")


def page(results, options):
    who = "a facade that ran already" if options.address else "a `demo` for each profile"
    return (f"# Load\n\n{datetime.date.today()}, {machine()}, shared by ghz and {who}. `bench/ghz/README.md` says\n"
            "what the profiles are. Percentiles are of the calls that ended with the code beside them.\n\n"
            f"{table(results)}\n\n"
            "![Latency and calls a second over time, by profile](load.svg)\n\n"
            "Above: the latency of the OK calls, by when they began, on a logarithmic scale. Below: how many calls began,\n"
            "by the code that they ended with; dashed, how many were asked for. Each point and bar is half a second.\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", default=PROFILES, help="all of them by default: " + ", ".join(PROFILES))
    parser.add_argument("--seconds", type=float, help="how long each profile takes, in place of its own duration")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target/bench/ghz", help="a folder for report.md and load.svg")
    parser.add_argument("--raw", action="store_true", help="write ghz's own reports there, too, without credentials")
    parser.add_argument("--ghz", default="ghz", help="the program, if it isn't on PATH")
    parser.add_argument("--facade", default=ROOT / "target/release/videoconf-facade", help="the program whose demo is run")
    own = parser.add_argument_group("before a facade that runs already",
                                    "with the credentials in VIDEOCONF_USER_ID and VIDEOCONF_AUTH_TOKEN, or else the demo's; "
                                    "TLS as ghz has it")
    own.add_argument("--address", metavar="HOST:PORT")
    own.add_argument("--call-id", action="append", metavar="ID", help="a conference of yours, in place of the demo's; may be repeated")
    for name in TLS:
        kind = {"action": "store_true"} if name in ("insecure", "skipTLS") else {"default": "", "metavar": "TEXT" if name == "cname" else "FILE"}
        own.add_argument(f"--{name}", **kind)
    options = parser.parse_args()
    if not options.address and (options.call_id or any(getattr(options, name) for name in TLS)):
        parser.error("--call-id and what concerns TLS go with --address")
    return options


def main():
    # As ctrl-c does, so that no demo is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    program = shutil.which(options.ghz)
    if not program:
        give_up(f"{options.ghz} isn't there; go install github.com/bojand/ghz/cmd/ghz@v0.120.0 makes it")
    results = []
    for config in [load(name, options) for name in options.profiles]:
        it = Result(config, run(program, config, options))
        results.append(it)
        print(f"{it.name}: {it.report['count']:,} calls, {it.report['statusCodeDistribution']}: {it.verdict}", file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.md").write_text(page(results, options))
    (options.out / "load.svg").write_text(picture(results))
    for it in results if options.raw else []:
        (options.out / f"{it.name}.json").write_text(json.dumps(it.report) + "\n")
    print(table(results))
    if failed := [it.name for it in results if it.broken]:
        sys.exit(f"not as promised: {', '.join(failed)}")


if __name__ == "__main__":
    main()
