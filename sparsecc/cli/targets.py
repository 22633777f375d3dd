"""``sparsecc targets``: the processors that can be compiled for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sparsecc.cli import arguments
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.progress import Stages
from sparsecc.cli.table import Column, print_table
from sparsecc.errors import TargetError, missing_package
from sparsecc.target import TARGETS, Target, resolve

if TYPE_CHECKING:
    from sparsecc.target.native.figures import Figures
    from sparsecc.tuning.fit.fit import Fit

SUMMARY = "list the processors that can be compiled for"
DESCRIPTION = "List the targets, what they need, and which of them run on this machine."
EPILOG = """\
examples:
  sparsecc targets
  sparsecc targets --json
  sparsecc targets --measure
  sparsecc targets --measure --seconds 120
"""
_COLUMNS = (
    Column("target", left=True, whole=True),
    Column("runs here", left=True),
    Column("vector registers", left=True, drop=1),
    Column("system", left=True, drop=2),
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_json(parser)
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure this machine's caches and throughput, fit the cost model to its core, and keep both for 'native'",
    )
    parser.add_argument(
        "--seconds",
        type=arguments.whole_from(0),
        default=60,
        metavar="N",
        help="with --measure: time for the fit, 0 for none (default: %(default)s)",
    )


def execute(options: Namespace) -> int:
    """Print the table."""
    native = _native()
    figures = _measure() if options.measure else None
    found = _fit(options.seconds, quiet=options.json) if options.measure and options.seconds else None
    if options.json:
        document = {"native": native, "targets": [_entry(target) for target in TARGETS.values()]}
        print_json(document | _measured(figures, found))
        return 0
    console = stdout()
    print_table(console, _COLUMNS, [_row(target, native=native) for target in TARGETS.values()])
    say(console)
    for target in TARGETS.values():
        board = f" ({target.source})" if target.source else ""
        say(console, f"{target.name} needs {' '.join(target.cpu_features)}{board}")
    say(console)
    say(console, "with -musl after a name, as in rpi4-musl: for a system with musl in the place of glibc (Alpine)")
    say(
        console,
        "with -android and an API level, as in cortex-a78-android24: for Android, 64 bit, with an NDK",
    )
    say(console)
    for core in dict.fromkeys(target.core_model for target in TARGETS.values()):
        having = ", ".join(target.name for target in TARGETS.values() if target.core_model == core)
        say(console, f"cost model for {having}: {core.name}, {core.source}")
    if figures:
        say(console)
        say(console, "measured for native: " + ", ".join(f"{k} {v:g}" for k, v in asdict(figures).items()))
    if isinstance(found, str):
        say(console, found)
    elif found:
        constants = ", ".join(f"{name} {value:g}" for name, value in found.constants.values.items())
        say(console, f"fitted for native to {found.constants.timings} timings, {found.seconds:.0f} s: {constants}")
    return 0


def _measured(figures: Figures | None, found: Fit | str | None) -> dict[str, Any]:
    if figures is None:
        return {}
    constants = None if found is None or isinstance(found, str) else dict(found.constants.values)
    return {"figures": asdict(figures), "constants": constants}


def _measure() -> Figures:
    from sparsecc.target.native.calibrate import (  # with the parts that make libraries: slow to import
        calibrate,
        keep_clock,
    )

    target = resolve("native")
    keep_clock(target)
    return calibrate(target)


def _fit(seconds: int, *, quiet: bool) -> Fit | str:
    """What was fitted; where kernels can't be built, why not: figures are of use without."""
    try:
        from sparsecc.tuning.fit.here import fit_here
    except ModuleNotFoundError as error:
        return f"not fitted to this machine's core: {missing_package(error)}"
    from sparsecc.target.native.calibrate import resolve_here

    with Stages(stderr(), quiet=quiet) as stages:
        return fit_here(resolve_here("native")[0], seconds=seconds, progress=stages)


def _row(target: Target, *, native: str | None) -> tuple[str, ...]:
    here = "native" if target.name == native else "yes" if _runs_here(target) else "no"
    registers = f"{target.registers} x {target.lanes} floats"
    return target.name, here, registers, target.triple


def _entry(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "triple": target.triple,
        "cpu_features": list(target.cpu_features),
        "source": target.source,
        "lanes": target.lanes,
        "registers": target.registers,
        "core_model": asdict(target.core_model),
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
