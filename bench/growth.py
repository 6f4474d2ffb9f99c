#!/usr/bin/env python3
"""How the cost of a call grows with what there can be many of. See README.md beside this file."""

import argparse
import asyncio
import contextlib
import json
import math
import pathlib
import re
import resource
import socket
import statistics
import sys
import threading
import time

import run
from run import CALL_ID, KEEP, ROOT, WORK, Row, cpu_seconds, facade, floor, free_port, ghz, h2load, machine, memory_mb, prepare, running, speed, upstream

# What ghz keeps of each call adds up.
MOST_AT_ONCE = 50_000
# How long the slow upstream takes: enough for all callers to come.
DELAY = 4
EXAMPLE = json.loads((ROOT / "tests/it/bodies/documented-example.json").read_text())
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


class Server:
    """A running server, and what it has used since `mark`."""

    def __init__(self, command, target):
        self.port = free_port()
        self.context = running(command(self.port, target), self.port, run.SERVER_CORE)

    def __enter__(self):
        self.pid = self.context.__enter__().pid
        time.sleep(0.2)
        return self

    def __exit__(self, *reason):
        self.context.__exit__(*reason)

    def mark(self):
        self.marked = cpu_seconds(self.pid)

    def used_us(self):
        return (cpu_seconds(self.pid) - self.marked) * 1e6

    def peak_mb(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000


def asking(call_id, shape=(10, 10), **data):
    return Row("facade", facade(), data={"call_id": call_id, **data}, shape=shape)


# Each gives CPU a call in microseconds (`None` where there are no calls), and memory in MB.

def idle_connections(command, number):
    with upstream() as target, Server(command, target) as server, contextlib.ExitStack() as open_ones:
        for _ in range(number):
            connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(HELLO)
        time.sleep(1)
        return None, memory_mb(server.pid)


def busy_connections(command, number):
    with upstream() as target, Server(command, target) as server:
        row = Row("", command, shape=(number, 1))
        ghz(asking(CALL_ID), server.port, "--total", 100)
        few, many = number * 4, number * 4 + 40_000
        used = []
        for calls in (few, many):
            server.mark()
            h2load(row, server.port, calls)
            used.append(server.used_us())
        # What the connections themselves cost is in both.
        return (used[1] - used[0]) / (many - few), server.peak_mb()


def distinct_calls(command, number):
    with upstream() as target, Server(command, target) as server:
        ghz(asking("warm-{{.RequestNumber}}"), server.port, "--total", 1000)
        server.mark()
        for first in range(0, number, MOST_AT_ONCE):
            row = asking(f"{first}-{{{{.RequestNumber}}}}", shape=(10, 10) if number >= 100 else (1, 1))
            ghz(row, server.port, "--total", min(number - first, MOST_AT_ONCE))
        return server.used_us() / number, memory_mb(server.pid)


def users(command, number):
    many = [dict(EXAMPLE["users"][0], _id=f"user{it:08}", username=f"user{it:08}") for it in range(number)]
    body = json.dumps(EXAMPLE | {"users": many}).encode()
    calls = max(200, min(20_000, 20_000_000 // len(body)))
    with upstream(body) as target, Server(command, target) as server:
        row = asking("call-{{.RequestNumber}}", shape=(4, 1), max_age="0s")
        ghz(row, server.port, "--total", 100)
        server.mark()
        ghz(row, server.port, "--total", calls)
        return server.used_us() / calls, memory_mb(server.pid)


def callers_on_one_read(command, number):
    with slow_upstream() as (target, reads), Server(command, target) as server:
        for call_id, callers in [("warm", 10), ("one", number)]:
            server.mark()
            ghz(asking(call_id, shape=(min(callers, 100), max(1, callers // 100))), server.port, "--total", callers)
        if len(reads) != 2:
            sys.exit(f"{len(reads)} reads, but all should wait for one")
        return server.used_us() / number, server.peak_mb()


@contextlib.contextmanager
def slow_upstream():
    """Answers after a while, and tells how often it was asked."""
    body = json.dumps(EXAMPLE).encode()
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    reads, loop, port = [], asyncio.new_event_loop(), free_port()

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                reads.append(time.monotonic())
                await asyncio.sleep(DELAY)
                writer.write(answer)

    loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", port))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    yield f"http://127.0.0.1:{port}", reads
    loop.call_soon_threadsafe(loop.stop)


BARE = floor(False)
LINES = [
    # Title, unit, name of each line with its command, sizes, how it is measured.
    ("idle connections", "connections", {"facade": facade(), "bare tonic": BARE}, [1, 10, 100, 1000, 5000], idle_connections),
    ("busy connections", "connections", {"facade": facade(*KEEP), "bare tonic": BARE}, [1, 10, 100, 1000, 5000], busy_connections),
    ("distinct calls, each read once", "calls", {"facade": facade()}, [1, 10, 100, 1000, 10_000, 100_000, 1_000_000], distinct_calls),
    ("users in a conference", "users", {"facade": facade()}, [2, 10, 50, 100, 500, 1000, 5000], users),
    ("callers on one read", "callers", {"facade": facade()}, [1, 10, 100, 1000, 10_000], callers_on_one_read),
]


def measure(rounds, only):
    """Medians by line, name and size; CPU levelled to the median speed of the whole run."""
    found = {}
    for number in range(rounds):
        for title, _, commands, sizes, how in LINES:
            for name, command in commands.items():
                for size in sizes if re.search(only, title) else []:
                    before = speed()
                    cpu_us, mb = how(command, size)
                    it = {"cpu_us": cpu_us, "mb": mb, "speed": (before + speed()) / 2}
                    found.setdefault(title, {}).setdefault(name, {}).setdefault(size, []).append(it)
                    print(f"{number + 1}/{rounds} {title}: {name}: {size}: {it}", file=sys.stderr)
    speeds = statistics.median(it["speed"] for lines in found.values() for line in lines.values() for runs in line.values() for it in runs)

    def median(runs):
        cpu = [it["cpu_us"] * speeds / it["speed"] for it in runs if it["cpu_us"] is not None]
        return {"cpu_us": statistics.median(cpu) if cpu else None, "mb": statistics.median(it["mb"] for it in runs)}

    return {title: {name: {size: median(runs) for size, runs in line.items()} for name, line in lines.items()} for title, lines in found.items()}


def table(found):
    lines = []
    for title, unit, *_ in LINES:
        for name, line in found.get(title, {}).items():
            lines += [f"| **{title}**, {name} | " + " | ".join(f"{size:,}" for size in line) + " |", "|---|" + "---:|" * len(line)]
            if all(it["cpu_us"] is not None for it in line.values()):
                lines.append("| CPU a call, us | " + " | ".join(f"{it['cpu_us']:,.1f}" for it in line.values()) + " |")
            lines += ["| memory, MB | " + " | ".join(f"{it['mb']:.1f}" for it in line.values()) + " |", ""]
    return "\n".join(lines).rstrip()


WIDTH, HEIGHT, LEFT, TOP = 300, 200, 60, 34


def picture(found):
    """A panel a line: both axes logarithmic, so that what grows linearly climbs as the grey line does."""
    panels = []
    for title, unit, *_ in LINES:
        for what, label in (("cpu_us", "CPU a call, us"), ("mb", "memory, MB")):
            lines = {name: [(size, it[what]) for size, it in line.items() if it[what]] for name, line in found.get(title, {}).items()}
            if lines and all(lines.values()):
                panels.append(panel(f"{title}: {label}", lines))
    rows = math.ceil(len(panels) / 3)
    place = lambda number: f"translate({(number % 3) * (WIDTH + LEFT + 20)},{(number // 3) * (HEIGHT + 70)})"
    body = "".join(f'<g transform="{place(number)}">{it}</g>' for number, it in enumerate(panels))
    width, height = 3 * (WIDTH + LEFT + 20) + 10, rows * (HEIGHT + 70) + 6
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11" '
            f'role="img" aria-label="How cost grows"><rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n')


def panel(title, lines):
    xs = [size for line in lines.values() for size, _ in line]
    ys = [value for line in lines.values() for _, value in line]
    decades = lambda values, least: (math.floor(math.log10(min(values))), max(math.ceil(math.log10(max(values))), math.floor(math.log10(min(values))) + least))
    (x0, x1), (y0, y1) = decades(xs, 1), decades(ys, 2)
    x = lambda size: LEFT + (math.log10(size) - x0) / (x1 - x0) * WIDTH
    y = lambda value: TOP + HEIGHT - (math.log10(value) - y0) / (y1 - y0) * HEIGHT
    out = [f'<text x="{LEFT}" y="20" font-weight="bold">{title}</text>']
    for decade in range(x0, x1 + 1):
        out.append(f'<path d="M{x(10**decade):.0f} {TOP}v{HEIGHT}" stroke="#eee"/><text x="{x(10**decade):.0f}" y="{TOP + HEIGHT + 15}" text-anchor="middle">{10**decade:,}</text>')
    for decade in range(y0, y1 + 1):
        out.append(f'<path d="M{LEFT} {y(10**decade):.0f}h{WIDTH}" stroke="#eee"/><text x="{LEFT - 5}" y="{y(10**decade) + 4:.0f}" text-anchor="end">{10**decade:,}</text>')
    # One decade up for one to the right, from the lower left.
    climb = min(x1 - x0, y1 - y0)
    out.append(f'<path d="M{LEFT} {TOP + HEIGHT}L{x(10 ** (x0 + climb)):.0f} {y(10 ** (y0 + climb)):.0f}" stroke="#ccc" stroke-dasharray="4"/>')
    upper = max(line[-1][1] for line in lines.values())
    for (name, line), colour in zip(lines.items(), ("#1f6feb", "#8b949e")):
        points = " ".join(f"{x(size):.0f},{y(value):.0f}" for size, value in line)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{x(line[-1][0]) - 4:.0f}" y="{y(line[-1][1]) + (-7 if line[-1][1] == upper else 18):.0f}" text-anchor="end" fill="{colour}">{name}</text>')
    return "".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="lines whose title has this text")
    parser.add_argument("--out", type=pathlib.Path, default=WORK, help="a folder for growth.json, growth.md and growth.svg")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    prepare()
    found = measure(options.rounds, options.only)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "growth.json").write_text(json.dumps({"machine": machine(), "medians": found}, indent=1) + "\n")
    (options.out / "growth.md").write_text(table(found) + "\n")
    (options.out / "growth.svg").write_text(picture(found))
    print(table(found))


if __name__ == "__main__":
    main()
