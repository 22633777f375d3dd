"""The folder that runs on a board or a server: library, header, examples, a loader for Python, a benchmark."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparsecc.artefact import Artefact
from sparsecc.build import header_of
from sparsecc.build.describe import facts
from sparsecc.build.library import build_program, facts_of
from sparsecc.build.sources import fill
from sparsecc.errors import OutputError
from sparsecc.ir.program import Port
from sparsecc.runtime.files import check_writable, new_file, write_error
from sparsecc.runtime.format import SEAL_MARK
from sparsecc.runtime.libc import system_of
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.text import in_bytes, printable
from sparsecc.version import VERSION

#: templates of the folder
FILES = Path(__file__).parent / "build" / "board"
#: template -> name in the folder
_TEXTS = {
    "model_numpy.py.in": "@name@_numpy.py",  # not @name@.py: Python would take @name@.so for the module
    "example.c.in": "example.c",
    "example.cpp.in": "example.cpp",
    "CMakeLists.txt.in": "CMakeLists.txt",
    "config.cmake.in": "@name@-config.cmake",
    "model.pc.in": "@name@.pc",
    "README.md.in": "README.md",
}
_EXECUTABLE = (".so", "")
#: digests of all other files
SUMS = "SHA256SUMS"


def write_folder(
    artefact: Artefact, folder: Path, *, cc: str | None = None, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Write everything that a machine needs to run the network; files of the same names are replaced once all are made.

    Raises
    ------
    OutputError
        The folder or a file can't be written.
    ToolchainError
        The C compiler failed.
    """
    name = artefact.program.name
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    with scratch_folder() as made:
        _make(artefact, made, cc=cc, tell=progress or (lambda stage: None))
        files = sorted(path for path in made.iterdir() if path.is_file())
        for path in files:
            check_writable(folder / path.name)
        for path in files:
            executable = path.suffix in _EXECUTABLE and path.name.startswith(name)
            with new_file(folder / path.name, executable=executable) as file, path.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 22)
    return [folder / path.name for path in files]


def _make(artefact: Artefact, folder: Path, *, cc: str | None, tell: Callable[[str], None]) -> None:
    program, target = artefact.program, artefact.target
    name = program.name
    tell(f"link {name}.so")  # its C library is built, too, the first time that a target is linked for
    artefact.link(folder / f"{name}.so", cc=cc)
    tell(f"link {name}.a")
    artefact.link(folder / f"{name}.a", cc=cc, static=True)
    tell(f"link {name}_bench")
    build_program(
        "scc_bench.c",
        program, memory=artefact.memory, kernels=artefact.kernels, triple=target.triple,
        cpu_features=target.cpu_features, out=folder / f"{name}_bench", cc=cc, **artefact.shapes,
    )  # fmt: skip
    values = _values(artefact)
    try:
        header = header_of(program, memory=artefact.memory, triple=target.triple, **artefact.shapes)
        (folder / f"{name}.h").write_text(header, encoding="utf-8")
        for template, file in _TEXTS.items():
            text = (FILES / template).read_text(encoding="utf-8")
            (folder / fill(file, values)).write_text(fill(text, values), encoding="utf-8")
        (folder / SUMS).write_text(_sums(folder), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"can't write to {folder}: {error.strerror}; free some disk space or set TMPDIR") from error


def _shapes(name: str, told: Mapping[str, Any]) -> str:
    """What the README says of several shapes; nothing of one."""
    if not told.get("shapes"):
        return ""
    rows = [
        f"* shape {i}: {', '.join(' x '.join(map(str, sizes)) for sizes in shape['inputs'])}"
        for i, shape in enumerate(told["shapes"])
    ]
    text = (
        f"The library has a program for each of these shapes of its inputs. `{name}_run` is of shape 0, "
        f"`{name}_run_shape` of any, and `{name}_run_batch` runs batches of other sizes in pieces; "
        f"`{name}_numpy.py` takes arrays of any shape that there is. `./{name}_bench --shape 1` times the second one."
    )
    return "\n".join(["", "", text, "", *rows])


def _sums(folder: Path) -> str:
    """Digests of all files, as ``sha256sum -c`` reads them."""
    lines = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        lines.append(f"{digest.hexdigest()}  {path.name}\n")
    return "".join(lines)


#: what a shared library needs of the system, as the README has it
_LIBC = {"gnu": "glibc\n2.28 or later", "musl": "musl", "android": "Android\nof the target's API level or later"}


def _values(artefact: Artefact) -> Mapping[str, str]:
    program, triple = artefact.program, artefact.target.triple
    told = facts_of(program, memory=artefact.memory, triple=triple, **artefact.shapes)
    ports = [("Input", program.inputs), ("Output", program.outputs)]
    return {
        "name": program.name,
        "version": VERSION,
        "mark": SEAL_MARK,
        "target": artefact.target.name,
        "triple": triple,
        "memory": in_bytes(told["arena_bytes"] + told["weight_bytes"]),
        "arena": in_bytes(told["arena_bytes"]),
        "weights": in_bytes(told["weight_bytes"]),
        "machine": "machine" if artefact.target.triple.startswith("x86") else "board",
        "libc": _LIBC[system_of(triple)],
        "facts": "\n".join(f"* {printable(line)}" for line in facts(told)),
        "build": told["build"],
        "shapes": _shapes(program.name, told),
        "interface": "\n".join(
            f"* {kind} {i}: `{port.name}`, {port.dtype} {' x '.join(map(str, port.shape))}{_more(port)}"
            for kind, group in ports
            for i, port in enumerate(group)
        ),
    }


def _more(port: Port) -> str:
    """What else is to be known of an input or output."""
    layout = ", channels last (NHWC)" if port.layout == "nhwc" else ""
    codes = "" if port.scale is None else f", codes q of the values {port.scale:g} * (q - {port.zero_point})"
    return layout + codes
