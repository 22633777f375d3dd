"""Sources and kernels to a shared library or a static archive."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sparsecc.build.seal import seal
from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import Compiler
from sparsecc.build.weights import WeightBlob, weights_assembly
from sparsecc.runtime.files import check_writable, new_file
from sparsecc.runtime.format import FUNCTIONS, SEAL_BYTES, SEAL_MARK, SEAL_SECTION
from sparsecc.runtime.scratch import scratch_folder

# -g0: no path of this machine in the result; the same input gives the same bytes
_COMPILE = (
    "-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-g0", "-Wall", f"-I{SOURCES}",
    f'-DSCC_SEAL_SECTION="{SEAL_SECTION}"', f'-DSCC_SEAL_MARK="{SEAL_MARK}"', f"-DSCC_SEAL_BYTES={SEAL_BYTES}",
)  # fmt: skip
_RUNTIME = "scc_library.c"
_SHARE = ("-shared", "-s", "-Wl,-z,defs", "-Wl,-z,noexecstack", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,--build-id=none")


@dataclass(frozen=True)
class Sources:
    """Everything a library is made from.

    Attributes
    ----------
    name : str
    main : str
        Generated C: steps and description.
    header : str
    weights : WeightBlob
    kernels : bytes
        Their object file.
    functions : tuple of str
        Public ones, without the name that they begin with.
    apart : bool
        Whether the runtime knows nothing of the network when it is compiled: not how many shapes there are.
    tail : str
        C text of a program, after the runtime.
    """

    name: str
    main: str
    header: str
    weights: WeightBlob
    kernels: bytes
    functions: tuple[str, ...] = FUNCTIONS
    apart: bool = True
    tail: str = ""


def link_shared(sources: Sources, out: Path, *, compiler: Compiler) -> None:
    """Write ``out``, a shared library that exports the public functions and nothing else."""
    name = sources.name
    with _workplace(sources, out) as folder:
        exports = " ".join(f"{name}_{function};" for function in sources.functions)
        (folder / "exports.map").write_text(f"{{ global: {exports} local: *; }};\n")
        parts = (f"{name}_main.c", f"{name}_weights.S", f"{name}_kernels.o", *_runtime(sources, folder, compiler))
        flags = (*_COMPILE, *_SHARE, "-Wl,--version-script=exports.map")
        compiler.run((*flags, "-o", "result", *parts, *compiler.libraries), folder=folder)
        seal(folder / "result")
        _deliver(folder / "result", out, executable=True)


def link_static(sources: Sources, out: Path, *, compiler: Compiler) -> None:
    """Write ``out``, an archive whose symbols all begin with the program's name."""
    name = sources.name
    with _workplace(sources, out) as folder:
        for part in (f"{name}_main.c", f"{name}_weights.S"):
            compiler.run((*_COMPILE, "-c", part, "-o", f"{Path(part).stem}.o"), folder=folder)
        members = [f"{name}_{part}.o" for part in ("main", "kernels", "weights")]
        compiler.make_archive("result", [*members, *_runtime(sources, folder, compiler)], folder=folder)
        _deliver(folder / "result", out, executable=False)


def link_program(sources: Sources, out: Path, *, compiler: Compiler) -> None:
    """Write ``out``, a program that needs no library of the system it runs on; ``main`` is in the sources' tail."""
    name = sources.name
    with _workplace(replace(sources, apart=False), out) as folder:
        parts = (f"{name}_main.c", f"{name}_weights.S", f"{name}_kernels.o")
        compiler.run((*_COMPILE, "-s", "-o", "result", *parts, *compiler.libraries), folder=folder)
        _deliver(folder / "result", out, executable=True)


def _runtime(sources: Sources, folder: Path, compiler: Compiler) -> tuple[str, ...]:
    """The runtime's object, where it is not in ``main.c``: it takes three times as long as the rest and is the same for
    all networks of a name, so the compiler may keep it. As small as it can be: kernels are where the time goes, and the
    digest of 30 MB still takes 2 ms.
    """
    if not sources.apart:
        return ()
    name = sources.name
    flags = (*_COMPILE, f"-DSCC_PREFIX={name}_", "-Os", "-c")
    compiler.run((*flags, str(SOURCES / _RUNTIME), "-o", f"{name}_runtime.o"), folder=folder, kept=True)
    return (f"{name}_runtime.o",)


@contextmanager
def _workplace(sources: Sources, out: Path) -> Iterator[Path]:
    """A temporary folder with what is this network's own under fixed relative names."""
    check_writable(out)  # better to know before the work
    name = sources.name
    runtime = "" if sources.apart else f'#include "{_RUNTIME}"\n{sources.tail}'
    with scratch_folder() as folder:
        (folder / f"{name}_main.c").write_text(f"{sources.main}\n{runtime}", encoding="utf-8")
        (folder / f"{name}.h").write_text(sources.header, encoding="utf-8")
        (folder / f"{name}_weights.S").write_text(weights_assembly(f"{name}_weights", file="weights.bin"))
        with (folder / "weights.bin").open("wb") as file:
            sources.weights.write(file)
        (folder / f"{name}_kernels.o").write_bytes(sources.kernels)
        yield folder


def _deliver(result: Path, out: Path, *, executable: bool) -> None:
    with new_file(out, executable=executable) as file, result.open("rb") as source:
        shutil.copyfileobj(source, file, 1 << 22)
