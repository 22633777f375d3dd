"""Verify a network for a target that this machine can't run."""

from __future__ import annotations

import platform

from sparsecc._codegen import own_instructions
from sparsecc.artefact import Artefact
from sparsecc.build.toolchain import architecture
from sparsecc.errors import TargetError, ToolchainError
from sparsecc.importer import Imported
from sparsecc.runtime.carried import CarriedLibrary
from sparsecc.runtime.libc import system_of
from sparsecc.target import Target, resolve
from sparsecc.verify.check import Verified, check, judge
from sparsecc.verify.emulator import Emulator, EmulatorError, emulated, find_emulator
from sparsecc.verify.run import rebuilt

#: multiply-adds of a run that an emulator gets
MOST_MACS = 1_000_000_000
#: seconds that it gets for a run
SECONDS = 120.0


def verify_compiled(
    library: CarriedLibrary | None, artefact: Artefact, imported: Imported, *, tolerance: float, cc: str | None
) -> Verified:
    """Verify a network: by its library where this machine has one. Raises as :func:`check_elsewhere` does."""
    if library is None:
        return check_elsewhere(artefact, imported, tolerance=tolerance, cc=cc)
    with library.leanly():
        return check(library, artefact, imported, tolerance=tolerance, cc=cc)


def check_elsewhere(artefact: Artefact, imported: Imported, *, tolerance: float, cc: str | None) -> Verified:
    """Run a network for another target and PyTorch on the example.

    In an emulator, if there is one and the network is not too large for it; else the same kernels, with the target's
    layouts and widths, as code for this machine. What was done, and why, is in ``compared``.

    Raises
    ------
    VerificationError
        As :func:`~sparsecc.verify.check.check` does.
    """
    emulator = find_emulator(artefact.target)
    why = _unfit(emulator, artefact)
    if emulator is not None and not why:
        try:
            run = emulated(imported, emulator, cc=cc, seconds=SECONDS)
            compared = f"in an emulator: {emulator.name}"
            return judge(run(artefact), artefact, imported, tolerance=tolerance, run=run, compared=compared)
        except EmulatorError as error:
            why = str(error)
        except ToolchainError as error:
            why = f"no program for {emulator.name} could be linked ({str(error).splitlines()[0]})"
    return check_rebuilt(artefact, imported, tolerance=tolerance, why=why)


def _unfit(emulator: Emulator | None, artefact: Artefact) -> str:
    """Why a network is not emulated; empty where it is."""
    machine = architecture(artefact.target.triple)
    if machine == platform.machine() and artefact.target.has_processor():
        return f"a library for {system_of(artefact.target.triple)} can't be loaded here"
    if machine == platform.machine():
        return "this processor lacks what the target has"
    if emulator is None:
        return f"no emulator for {machine} on the PATH"
    macs = sum(layer.kept_macs for layer in artefact.report.plan.layers)
    return f"too large for {emulator.name}: {macs / 1e9:.1f}e9 multiply-adds" if macs > MOST_MACS else ""


def check_rebuilt(artefact: Artefact, imported: Imported, *, tolerance: float, why: str) -> Verified:
    """Run the target's kernels as code of this machine; ``why`` tells why it is not the target's own code."""
    host = _host()
    if isinstance(host, str):
        return Verified(None, f"{why}; {host}")
    own = own_instructions(artefact.functions.values())
    if own:
        return Verified(None, f"{why}; its kernels have instructions that only the target has: {own[0]}")
    run = rebuilt(artefact.functions, imported, host=host)
    try:
        found = run(artefact)
    except ToolchainError as error:
        return Verified(None, f"{why}; no library for this machine could be linked ({str(error).splitlines()[0]})")
    compared = f"same kernels built for this machine: {why}"
    return judge(found, artefact, imported, tolerance=tolerance, run=run, compared=compared)


def _host() -> Target | str:
    """The target that this machine runs best; what is wrong with it where there is none."""
    try:
        return resolve("native")
    except TargetError as error:
        return str(error)
