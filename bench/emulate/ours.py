"""A static archive of ours as a program that the emulator can watch, and what its functions are called."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bench.emulate.estimate import Symbols
from sparsecc.build.toolchain import find_compiler

_PROGRAM = Path(__file__).parent / "csrc" / "marked.c"
_NEEDED = 'save("out/") writes a folder with both'


class InputError(ValueError):
    """What was given can't be emulated; the message says what to give."""


def link(given: Path, folder: Path) -> tuple[str, Symbols]:
    """Link ``model.a`` of a folder, or the archive that is given, with the header beside it; its command and symbols.

    Raises
    ------
    InputError
        There is no archive or header, or it is not for 64-bit ARM.
    """
    archive = given / "model.a" if given.is_dir() else given
    header = archive.with_suffix(".h")
    if archive.suffix != ".a" or not archive.exists() or not header.exists():
        raise InputError(f"{given}: found no archive (.a) with its header (.h); compiled's {_NEEDED}")
    shutil.copy(archive, folder / "net.a")
    text = header.read_text()
    name = archive.stem
    (folder / "model.h").write_text(text)
    source = re.sub(r"\bmodel_", f"{name}_", _PROGRAM.read_text())
    (folder / "marked.c").write_text(source)
    _check(archive)
    compiler = find_compiler(None, triple="aarch64-linux-gnu", programs=True)
    compiler.run(("-O2", "-g", "marked.c", "net.a", *compiler.libraries, "-o", "marked"), folder=folder)
    return "./marked", read_symbols(folder / "marked", name)


def read_symbols(program: Path, network: str) -> Symbols:
    """Functions of a program with a network of that name; kernels are hidden ones, and their bodies have no name."""
    shown = subprocess.run(["nm", "-nS", str(program)], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in shown.splitlines()]
    functions = {int(w[0], 16): (int(w[1], 16), w[3]) for w in found if len(w) == 4 and w[2] in "tTwW"}
    hidden = {words[3] for words in found if len(words) == 4 and words[2] == "t"}
    steps = {at: name for at, (_, name) in functions.items() if name in hidden and name.startswith(f"{network}_")}
    sizes, names = zip(*functions.values(), strict=True)
    return Symbols(tuple(functions), sizes, names, steps)


def _check(archive: Path) -> None:
    shown = subprocess.run(["readelf", "-h", str(archive)], capture_output=True, text=True).stdout
    if "AArch64" not in shown:
        machine = re.search(r"Machine:\s+(.*)", shown)
        found = machine[1] if machine else "no machine code"
        raise InputError(f"{archive}: found {found}, expected AArch64: cycles are estimated for 64-bit ARM only")
