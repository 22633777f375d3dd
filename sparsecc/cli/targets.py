"""``sparsecc targets``: the processors that can be compiled for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from sparsecc.cli import arguments
from sparsecc.cli.console import print_json, say, stdout
from sparsecc.cli.table import Column, print_table
from sparsecc.errors import TargetError
from sparsecc.target import TARGETS, Target, resolve

SUMMARY = "list the processors that can be compiled for"
DESCRIPTION = "List the targets, what they need, and which of them run on this machine."
EPILOG = """\
examples:
  sparsecc targets
  sparsecc targets --json
"""
_COLUMNS = (
    Column("target", left=True),
    Column("runs here", left=True),
    Column("vector registers", left=True),
    Column("system", left=True),
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Print the table."""
    native = _native()
    if options.json:
        print_json({"native": native, "targets": [_entry(target) for target in TARGETS.values()]})
        return 0
    console = stdout()
    print_table(console, _COLUMNS, [_row(target, native=native) for target in TARGETS.values()])
    say(console)
    for target in TARGETS.values():
        say(console, f"{target.name} needs {' '.join(target.cpu_features)}")
    return 0


def _row(target: Target, *, native: str | None) -> tuple[str, ...]:
    here = "native" if target.name == native else "yes" if _runs_here(target) else "no"
    registers = f"{target.registers} x {target.lanes} floats"
    return target.name, here, registers, target.triple


def _entry(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "triple": target.triple,
        "cpu_features": list(target.cpu_features),
        "lanes": target.lanes,
        "registers": target.registers,
        "runs_here": _runs_here(target),
    }


def _native() -> str | None:
    try:
        return resolve("native").name
    except TargetError:  # none of the targets; they can be compiled for all the same
        return None


def _runs_here(target: Target) -> bool:
    try:
        return target.runs_here()
    except TargetError:
        return False
