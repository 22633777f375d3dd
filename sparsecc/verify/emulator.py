"""Run a network for another processor in an emulator of it: QEMU's, where it is on the PATH."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsecc.artefact import Artefact
from sparsecc.build.library import build_program
from sparsecc.build.toolchain import architecture
from sparsecc.errors import OutputError, VerificationError
from sparsecc.importer import Imported
from sparsecc.ir.program import Port
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.target import Target
from sparsecc.verify.compare import Array
from sparsecc.verify.run import Run

#: architecture of a triple -> the emulator of its programs
_PROGRAMS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm", "x86_64": "qemu-x86_64"}
#: a core that has no more than what LLVM takes for granted of a processor that the emulator has no name for
_PLAIN = {"generic": "cortex-a53"}
#: all that the emulator knows
_MOST = "max"
#: more threads than that wait for each other in an emulator
_THREADS = 4


class EmulatorError(Exception):
    """The emulator can't tell: it takes too long, or lacks what the network needs."""


@dataclass(frozen=True)
class Emulator:
    """A program that runs programs of another processor.

    Attributes
    ----------
    name : str
    command : tuple of str
        What stands before a program.
    """

    name: str
    command: tuple[str, ...]


def find_emulator(target: Target) -> Emulator | None:
    """The emulator for a target, told to be its core if it knows that; None if there is none on the PATH."""
    name = _PROGRAMS[architecture(target.triple)]
    path = shutil.which(f"{name}-static") or shutil.which(name)
    return None if path is None else Emulator(name, (path, "-cpu", _core(path, target)))


def _core(path: str, target: Target) -> str:
    """With the target's own core, an instruction that it lacks ends the program."""
    cpu = str(target.llvm.get("mcpu", ""))
    try:
        known = subprocess.run((path, "-cpu", "help"), capture_output=True, text=True, errors="replace").stdout.split()
    except OSError:
        known = []
    plain = None if target.codes or "dotprod" in target.cpu_features else _PLAIN.get(cpu)
    return next((core for core in (cpu, plain) if core in known), _MOST)


def emulated(imported: Imported, emulator: Emulator, *, cc: str | None, seconds: float) -> Run:
    """Runs code for another processor; each run may take ``seconds``.

    Raises
    ------
    EmulatorError
        It takes longer, or the network can't be run there.
    VerificationError
        The network ends by a signal.
    """

    def run(artefact: Artefact) -> list[Array]:
        with scratch_folder() as folder:
            _build(artefact, folder / "apply", cc=cc)
            _write([x.numpy() for x in imported.example], folder / "inputs")
            _run(emulator, folder, artefact.target, seconds=seconds)
            return _read(folder / "outputs", artefact.program.outputs)

    return run


def _build(artefact: Artefact, out: Path, *, cc: str | None) -> None:
    target = artefact.target
    build_program(
        "scc_apply.c",
        artefact.program, memory=artefact.memory, kernels=artefact.kernels, triple=target.triple,
        cpu_features=target.cpu_features, out=out, cc=cc,
    )  # fmt: skip


def _run(emulator: Emulator, folder: Path, target: Target, *, seconds: float) -> None:
    threads = min(len(os.sched_getaffinity(0)), _THREADS)
    command = (*emulator.command, "./apply", "inputs", "outputs", str(threads))
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise EmulatorError(f"{emulator.name} took longer than {seconds:.0f} s") from error
    except OSError as error:
        raise EmulatorError(f"{emulator.name} can't be run: {error.strerror}") from error
    if done.returncode < 0:
        name, where = signal.Signals(-done.returncode).name, " ".join(emulator.command)
        raise VerificationError(
            f"the network for {target.name} ends by {name} in {where}; "
            "please report it with the model, or pass verify=False (on the command line --no-verify)"
        )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EmulatorError(f"{emulator.name}: {said[-1]}")


def _write(arrays: Sequence[Array], path: Path) -> None:
    try:
        with path.open("wb") as file:
            for array in arrays:
                file.write(np.ascontiguousarray(array).tobytes())
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}; free some disk space or set TMPDIR") from error


def _read(path: Path, ports: Sequence[Port]) -> list[Array]:
    read = np.fromfile(path, np.uint8)
    parts = np.split(read, np.cumsum([port.nbytes for port in ports])[:-1])
    return [part.view(port.dtype).reshape(port.shape) for part, port in zip(parts, ports, strict=True)]
