#!/usr/bin/env python3
"""What deploy/release has made: all of it, with its sums, and the same as what it was made of.
Usage: release.py FOLDER, with what cyclonedx-python-lib[validation] installs."""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ["*.deb", "*.tar.gz", "*.proto", "*.binpb", "*.cdx.json"]
UNPACKED = ["CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "SECURITY.md"]
UNPACKED += ["manual", "notices", "systemd", "videoconf-facade"]
PROTO = "proto/rocketchat/videoconference/v1/video_conference_service.proto"


def check(what, holds):
    if not holds:
        sys.exit(f"FAILED: {what}")


def check_sums(folder):
    lines = (line.split() for line in (folder / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    check("not all have their sums", set(sums) == {it.name for it in folder.iterdir()} - {"SHA256SUMS"})
    for name, digest in sums.items():
        check(f"the sum of {name}", hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest)


def check_tarball(path):
    with tarfile.open(path) as tarball:
        members = tarball.getmembers()
        files = {it.name.partition("/")[2]: it for it in members}
        check("a file of somebody's", {(it.uid, it.gid, it.uname, it.gname) for it in members} == {(0, 0, "", "")})
        check("others may write", not [it.name for it in members if it.mode & 0o022])
        check("not all at one time", len({it.mtime for it in members}) == 1)
        top = {it.split("/")[0] for it in files if it}
        check(f"it has {sorted(top)}", top == set(UNPACKED))
        for name, source in [
            ("videoconf-facade", "target/release/videoconf-facade"),
            ("notices", "target/package/notices"),
            ("SECURITY.md", "SECURITY.md"),
            ("systemd/videoconf-facade.service", "deploy/systemd/videoconf-facade.service"),
            ("systemd/videoconf-facade.socket", "deploy/systemd/videoconf-facade.socket"),
            ("manual/videoconf-facade.1", "target/package/videoconf-facade.1"),
        ]:
            check(f"no {name}", name in files)
            same = tarball.extractfile(files[name]).read() == (ROOT / source).read_bytes()
            check(f"{name} is another than {source}", same)
        check("a program that can't be run", files["videoconf-facade"].mode == 0o755)


def check_contents(bom):
    """Both by which a user knows what is linked in: they name the same, and the licences' texts are there."""
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(bom)
    check(f"the SBOM: {error}", not error)
    check("paths of this machine are in the SBOM", str(ROOT) not in bom)
    notices = (ROOT / "target/package/notices").read_text()
    named = [f"{it['name']} {it['version']}" for it in json.loads(bom)["components"]]
    texts = ["Permission is hereby granted", "Apache License", "Redistribution and use"]
    missing = [it for it in named + texts if it not in notices]
    check(f"not in the notices: {', '.join(missing)}", not missing and len(named) > 100)


def main():
    folder = Path(sys.argv[1])
    found = {pattern: list(folder.glob(pattern)) for pattern in ASSETS}
    for pattern, paths in found.items():
        check(f"{len(paths)} of {pattern}", len(paths) == 1)
    check_sums(folder)
    [tarball], [proto], [binpb], [bom] = (found[it] for it in ASSETS[1:])
    check_tarball(tarball)
    check("another proto", proto.read_bytes() == (ROOT / PROTO).read_bytes())
    descriptor = subprocess.run([ROOT / "target/release/videoconf-facade", "descriptor"], check=True, capture_output=True)
    check("another descriptor", binpb.read_bytes() == descriptor.stdout)
    check_contents(bom.read_text())
    print("ok      what is released is all there, and what it was made of")


if __name__ == "__main__":
    main()
