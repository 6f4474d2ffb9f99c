#!/usr/bin/env python3
"""Builds the facade for what it does most, as measured: a profile-guided release. See README.md beside this file."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import run

OUT = run.ROOT / "target/pgo"
BINARY = OUT / "release/videoconf-facade"


def profdata():
    """LLVM's tool for profiles, of the version that rustc is built with: others can't read them."""
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"LLVM version: (\d+)", version)[1]
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    of_rustup = [str(it) for it in pathlib.Path(root).glob("lib/rustlib/*/bin/llvm-profdata")]
    for tool in [*of_rustup, f"llvm-profdata-{major}"]:
        if shutil.which(tool):
            return tool
    sys.exit(f"llvm-profdata of LLVM {major} is missing: rustup component add llvm-tools, or apt-get install llvm-{major}")


def cargo(target, flags):
    run.run("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", target, cwd=run.ROOT,
            env={**os.environ, "RUSTFLAGS": flags})


def train(binary):
    """The benchmark's own calls, of each kind: under load and at a rate."""
    with run.upstream() as target:
        for row in run.ROWS:
            if not row.name.startswith("facade"):
                continue
            port = run.free_port()
            command = [binary, *row.command(port, target + row.upstream)[1:]]
            with run.running(command, port, run.SERVER_CORE):
                run.ghz(row, port, "--total", 10_000)
                run.ghz(row, port, "--rps", 1000, "--duration", "3s", "--duration-stop", "wait")
                if not row.vary:
                    run.h2load(row, port, 30_000)


def build():
    tool = profdata()
    profiles = OUT / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    cargo(OUT / "training", f"-Cprofile-generate={profiles}")
    # Those of what ran while it was built.
    shutil.rmtree(profiles, ignore_errors=True)
    train(OUT / "training/release/videoconf-facade")
    merged = OUT / "merged.profdata"
    run.run(tool, "merge", "-o", merged, *profiles.glob("*.profraw"))
    cargo(OUT, f"-Cprofile-use={merged}")


if __name__ == "__main__":
    run.prepare()
    build()
    print(BINARY)
