"""``sparsecc doctor``: what is installed, what this machine is, and what is kept on it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from rich.console import Console

from sparsecc.cli import arguments
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.doctor_machine import machine, system
from sparsecc.cli.doctor_packages import packages
from sparsecc.cli.progress import Stages
from sparsecc.cli.table import Column, print_table

SUMMARY = "show what is installed, what this machine is, and what is kept on it"
DESCRIPTION = """\
Show the versions of sparsecc and of the packages that its parts need, the target that 'native' is, how many threads a
library takes by itself and why, what is kept on disk, and the multiply-adds that one core reaches, measured. What must
be mended is said last.
"""
EPILOG = """\
examples:
  sparsecc doctor
  sparsecc doctor --json
  sparsecc doctor --no-peak
"""
_COLUMNS = (
    Column("package", left=True, whole=True),
    Column("installed", left=True),
    Column("wanted", left=True, drop=1),
    Column("for", left=True, drop=2),
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--no-peak", action="store_true", help="measure nothing")
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Look at everything and print it."""
    with Stages(stderr(), quiet=options.json) as stages:
        stages("look")
        found = {**system(), "packages": packages(), **machine(measure=not options.no_peak, progress=stages)}
    found["problems"] = _problems(found)
    if options.json:
        print_json(found)
    else:
        _print(stdout(), found)
    return 0


def _problems(found: dict[str, Any]) -> list[str]:
    """What does not fit, each with what to do."""
    problems = [
        f"{row['name']} {row['installed']} is installed, {row['wanted']} is wanted; in sparsecc's folder: "
        f"pip install '.[{row['for']}]'"
        for row in found["packages"]
        if not row["fits"]
    ]
    return [*problems, *found.pop("troubles")]


def _print(console: Console, found: dict[str, Any]) -> None:
    say(console, f"sparsecc {found['version']} in {found['folder']}")
    say(console, f"Python {found['python']}, {found['system']}")
    say(console)
    rows = [(row["name"], row["installed"] or "-", row["wanted"], row["for"]) for row in found["packages"]]
    print_table(console, _COLUMNS, rows)
    say(console)
    width = max(map(len, found["machine"]))
    for name, text in found["machine"].items():
        say(console, f"{name:{width}}  {text}")
    say(console)
    for problem in found["problems"] or ["nothing that must be mended"]:
        say(console, f"problem: {problem}" if found["problems"] else problem)
