#!/usr/bin/env python3
"""The manual pages and the completions against --help: the same commands, the same flags, variables and defaults.

Usage: manual.py path/to/videoconf-facade folder/of/pages
"""

import re
import subprocess
import sys
from pathlib import Path

program, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
NAME = "videoconf-facade"
failures = []


def output(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


def agree(what, one, other):
    if not one or one != other:
        failures.append(f"{what}: {sorted(one ^ other) or 'nothing found'}")


def flags(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def variables(text):
    return set(re.findall(r"VIDEOCONF_[A-Z_]+", text))


def defaults(text):
    return sorted(re.findall(r"\[default: ([^]]*)\]", " ".join(text.split())))


def completed(command, word):
    """What bash offers for a word behind a command."""
    script = f"""
        source {folder}/{NAME}.bash
        COMP_WORDS=({NAME} {command} '{word}') COMP_CWORD={2 if command else 1}
        $(complete -p {NAME} | sed -E 's/.*-F ([^ ]+).*/\\1/') {NAME} '{word}' {command or NAME}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(output("bash", "--norc", "-c", script).split())


help_ = output(program, "--help")
commands = set(re.findall(r"^  ([a-z-]+)  ", help_.split("Commands:")[1].split("Options:")[0], re.MULTILINE))
commands.discard("help")
zsh, fish = (folder / f"_{NAME}").read_text(), (folder / f"{NAME}.fish").read_text()
pages = {path.stem for path in folder.glob("*.1")}
agree("pages", pages, {NAME} | {f"{NAME}-{command}" for command in commands})
agree("commands that bash completes", completed("", "") - flags(help_) - {"-h", "-V", "help"}, commands)

for command in sorted(commands):
    if f"{NAME}-{command}" not in pages:
        continue
    help_ = output(program, command, "--help")
    # The descriptions alone: examples and notes mention flags of others.
    options = help_.split("Options:\n")[1].split("\n\n")[0]
    page = output("mandoc", "-T", "ascii", "-O", "width=500", folder / f"{NAME}-{command}.1")
    page = re.sub(".\x08", "", page)
    described = page.split("\nOPTIONS\n")[-1].split("\nNOTES\n")[0]
    known = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", options, re.MULTILINE))
    # Those of the page begin a line, too.
    shown = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", described, re.MULTILINE))
    agree(f"{command}, the page", shown, known)
    if variables(options) or variables(described):
        agree(f"{command}, the page's variables", variables(described), variables(options))
    if defaults(options) != defaults(described):
        failures.append(f"{command}, the page's defaults: {defaults(described)}, {defaults(options)}")
    agree(f"{command}, bash", {it for it in completed(command, "--") if it.startswith("--")}, known)
    in_fish = re.findall(rf"__fish_videoconf_facade_using_subcommand {command}\" .*-l ([a-z-]+)", fish)
    agree(f"{command}, fish", {f"--{it}" for it in in_fish}, known)
    in_zsh = re.search(rf"^ *\({command}\)\n_arguments (.*?)&& ret=0", zsh, re.MULTILINE | re.DOTALL)[1]
    agree(f"{command}, zsh", flags(re.sub(r"\[.*", "", in_zsh)), known)

for page in folder.glob("*.1"):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    if lint.returncode != 0:
        failures.append(lint.stdout + lint.stderr)

for failure in failures:
    print(f"FAILED: {failure}")
if failures:
    sys.exit(1)
print(f"ok      {len(pages)} manual pages and the completions of three shells agree with --help")
