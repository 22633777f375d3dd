"""Libraries as files: symbols, what they need, the same bytes every time, other processors."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from tuning_case import program

from sparsecc.build.objects import isolate, own_symbol
from sparsecc.errors import InternalError
from sparsecc.runtime import elf
from sparsecc.runtime.format import FUNCTIONS

# --- object files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "armv7l-linux-gnueabihf"])
def test_isolate_prefixes_and_hides_what_an_object_defines(triple: str) -> None:
    before = elf.parse(kernels_c.kernels(triple), name="before")
    after = elf.parse(isolate(kernels_c.kernels(triple), prefix="net"), name="after")
    pairs = zip(before.symbols(elf.SYMTAB), after.symbols(elf.SYMTAB), strict=True)
    for old, new in pairs:
        if old.is_global and old.section:
            assert (new.name, new.visibility) == (f"net_{old.name}", 2)
        else:
            assert new.name == old.name
    assert own_symbol("net_k", prefix="net") == "net_k"


@pytest.mark.parametrize("data", [b"", b"not an object", b"\x7fELF" + bytes(60)])
def test_isolate_rejects_what_is_no_object(data: bytes) -> None:
    with pytest.raises(InternalError):
        isolate(data, prefix="net")


# --- libraries from outside ----------------------------------------------------------------------------------------


def needed(path: Path) -> set[str]:
    """Names of the libraries that the dynamic loader will look for (64 bit)."""
    parsed = elf.parse(path.read_bytes(), name=str(path))
    dynamic = next(s for s in parsed.sections if s.kind == 6)
    names = parsed.content(parsed.sections[dynamic.link])
    entries = struct.iter_unpack("<QQ", parsed.content(dynamic))
    return {names[at : names.index(b"\0", at)].decode() for tag, at in entries if tag == 1}


@pytest.mark.parametrize("cc", [None, "gcc"])
def test_a_library_exports_the_interface_and_needs_libc_only(cc: str | None) -> None:
    if cc:
        program(cc)
    path = kernels_c.folder() / f"exports-{cc}.so"
    kernels_c.link(kernels_c.tiny(), path, cc=cc)
    symbols = list(elf.parse(path.read_bytes(), name="").symbols(elf.DYNSYM))
    assert {s.name for s in symbols if s.section} == {f"tiny_{f}" for f in FUNCTIONS}
    assert not {s.name for s in symbols if "tvm" in s.name.lower()}
    assert needed(path) <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}
    assert os.access(path, os.X_OK)
    assert path.stat().st_size < 44_000


@pytest.mark.parametrize("static", [False, True])
def test_same_input_same_bytes_and_no_paths(static: bool) -> None:
    first = kernels_c.build(kernels_c.tiny(), file="first.lib", static=static).read_bytes()
    second = kernels_c.build(kernels_c.tiny(), file="second.lib", static=static).read_bytes()
    assert first == second
    for place in (tempfile.gettempdir(), str(kernels_c.folder()), str(Path.cwd()), sys.prefix, str(Path.home())):
        assert place.encode() not in first or place == "/"


def test_weights_are_read_only_data() -> None:
    weight = np.random.default_rng(0).standard_normal(5000).astype("float32")
    program = kernels_c.tiny("heavy")
    path = kernels_c.build(replace(program, weights=(*program.weights, weight)))
    parsed = elf.parse(path.read_bytes(), name="")
    section = next(s for s in parsed.sections if weight.tobytes() in parsed.content(s))
    flags = struct.unpack_from("<Q", parsed.data, section.header + 8)[0]
    assert section.name.startswith(".rodata")
    assert not flags & 1  # SHF_WRITE


@pytest.mark.parametrize("triple", ["aarch64-linux-gnu", "armv7l-linux-gnueabihf"])
def test_cross_compiled_libraries(triple: str) -> None:
    path = kernels_c.folder() / f"{triple}.so"
    kernels_c.link(kernels_c.tiny(), path, triple=triple, features=("neon",))
    parsed = elf.parse(path.read_bytes(), name="")
    assert elf.machine_name(parsed.bits, parsed.machine) in triple.replace("armv7l", "armv7")
    assert {s.name for s in parsed.symbols(elf.DYNSYM) if s.section} == {f"tiny_{f}" for f in FUNCTIONS}


def test_the_runtime_is_the_same_in_all_networks_of_a_name() -> None:
    runtimes = set()
    for program_ in (kernels_c.tiny(), replace(kernels_c.single("k_add"), name="tiny")):
        path = kernels_c.folder() / f"steps-{len(program_.steps)}.a"
        kernels_c.link(program_, path, static=True)
        runtimes.add(subprocess.run(("ar", "p", path, "tiny_runtime.o"), capture_output=True, check=True).stdout)
    (runtime,) = runtimes
    symbols = list(elf.parse(runtime, name="runtime").symbols(elf.SYMTAB))
    assert [s.name for s in symbols if not s.section and s.name.startswith("tiny_")] == ["tiny_network"]
