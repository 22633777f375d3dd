"""The last stage of the compiler: memory plan, weights, generated C, and the libraries a C program sees."""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_case import emulator

from sparsecc.build import ALIGNMENT, build_library, header_of, plan_arena
from sparsecc.build.check import check_program
from sparsecc.build.emit import c_comment, c_string
from sparsecc.build.memory import Life, check_plan, lifetimes, lower_bound
from sparsecc.build.objects import isolate, own_symbol
from sparsecc.build.toolchain import CC_VARIABLE, find_compiler
from sparsecc.build.weights import plan_weights
from sparsecc.errors import InternalError, OutputError, TargetError, ToolchainError, UserError
from sparsecc.facts.program import Port, Program, Ref, Step
from sparsecc.runtime import elf
from sparsecc.runtime.format import FUNCTIONS

ZIG = (sys.executable, "-m", "ziglang", "cc")


def buffers_program(spans: list[tuple[int, int, int]]) -> Program:
    """A program with one buffer for each (size, first step, last step)."""
    count = max((last for _, _, last in spans), default=0) + 1
    steps = []
    for number in range(count):
        named = [i for i, (_, first, last) in enumerate(spans) if number in (first, last)]
        writes = tuple(i for i, b in enumerate(named) if spans[b][1] == number)
        steps.append(Step(f"k{len(named)}", f"s{number}", tuple(Ref("buffer", b) for b in named), writes))
    return Program("p", (), (), tuple(size for size, _, _ in spans), (), tuple(steps))


# --- memory plan ---------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 12), st.integers(0, 8)).map(lambda t: (t[0], t[1], t[1] + t[2])),
        max_size=25,
    )
)
def test_live_buffers_never_overlap(spans: list[tuple[int, int, int]]) -> None:
    program = buffers_program(spans)
    plan = plan_arena(program)
    assert plan.nbytes >= lower_bound(lifetimes(program))
    for i, (size, first, last) in enumerate(spans):
        assert plan.offsets[i] % ALIGNMENT == 0
        assert plan.offsets[i] + size <= plan.nbytes or not size
        for j, (other, start, end) in enumerate(spans[:i]):
            if size and other and first <= end and start <= last:
                apart = plan.offsets[i] + size <= plan.offsets[j] or plan.offsets[j] + other <= plan.offsets[i]
                assert apart, (spans, plan)


def test_plan_reaches_the_lower_bound_on_nets_with_residuals() -> None:
    # sizes of inverted residual blocks: narrow input kept over two wide tensors
    spans, step = [], 0
    for narrow, wide in [(16, 96), (24, 144), (24, 144), (32, 192), (64, 384), (96, 576), (160, 960)]:
        plane = 3136 * 16 // narrow
        spans += [
            (narrow * plane, step, step + 3),
            (wide * plane, step + 1, step + 2),
            (wide * plane, step + 2, step + 3),
        ]
        step += 3
    program = buffers_program(spans)
    assert plan_arena(program).nbytes == lower_bound(lifetimes(program))


def test_a_bad_plan_is_noticed() -> None:
    lives = (Life(0, 128, 0, 1), Life(1, 64, 1, 2))
    plan = plan_arena(buffers_program([(128, 0, 1), (64, 1, 2)]))
    check_plan(plan, lives)
    for offsets in ((0, 64), (0, 3), (0, 192)):
        with pytest.raises(InternalError, match="arena plan"):
            check_plan(replace(plan, offsets=offsets), lives)


# --- weights -------------------------------------------------------------------------------------------------------


def test_weights_are_aligned_and_stored_once() -> None:
    ones, bits = np.ones(5, "float32"), np.ones(5, "float32").view("int32")
    arrays = [np.arange(7, dtype="float32"), ones, np.arange(3, dtype="int64"), ones.copy(), bits, np.empty(0, "int8")]
    blob = plan_weights(arrays)
    assert all(offset % ALIGNMENT == 0 for offset in blob.offsets)
    assert blob.offsets[1] == blob.offsets[3] != blob.offsets[4]
    file = io.BytesIO()
    blob.write(file)
    data = file.getvalue()
    assert len(data) == blob.nbytes == 4 * ALIGNMENT
    for offset, array in zip(blob.offsets, arrays, strict=True):
        assert data[offset : offset + array.nbytes] == array.tobytes()
    assert plan_weights([]).nbytes == 0


# --- checks of the program -----------------------------------------------------------------------------------------


def edited(**changes: object) -> Program:
    return replace(kernels_c.tiny(), **changes)  # type: ignore[arg-type]


def with_step(index: int, **changes: object) -> Program:
    steps = list(kernels_c.tiny().steps)
    steps[index] = replace(steps[index], **changes)  # type: ignore[arg-type]
    return edited(steps=tuple(steps))


PAD = kernels_c.tiny().steps[0].pads[0]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            with_step(0, args=(Ref("input", 1), Ref("weight", 0), Ref("buffer", 0))),
            "refers to input 1, but there are 1",
        ),
        (with_step(0, writes=()), r"step 0 \(pad\): reads buffer 0, which no step wrote"),
        (with_step(0, writes=(0,)), "writes argument 0; expected a buffer or output"),
        (with_step(1, symbol="k_pad"), "kernel k_pad has 2 arguments here and 3 before"),
        (with_step(1, symbol="tiny_run"), "name of a public function"),
        (with_step(0, pads=(replace(PAD, tail=17),)), "does not fit its"),
        (with_step(0, pads=(replace(PAD, row_used=9),)), "does not fit its"),
        (with_step(0, pads=(replace(PAD, ref=Ref("weight", 0)),)), "which is read only"),
        (edited(outputs=(Port("y", (3,)), Port("z", (3,)))), r"no step writes output 1 \(z\)"),
    ],
)
def test_inconsistent_programs_are_our_bug(program: Program, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check_program(program)


@pytest.mark.parametrize("name", ["", "1net", "a-b", "pthread", "int", "scc", "größe"])
def test_names_that_c_can_not_take(name: str) -> None:
    with pytest.raises(UserError, match="choose another name"):
        check_program(edited(name=name))


# --- generated text ------------------------------------------------------------------------------------------------


def test_c_strings_and_comments() -> None:
    assert c_string('a"b\\c') == '"a\\042b\\134c"'
    assert c_string("??/é\n") == '"\\077\\077/\\303\\251\\012"'
    assert c_comment("end */ /* \n \\") == "end * / / *   /"


def test_strange_keys_survive_in_the_library() -> None:
    key = 'layers["0"]/conv*/ ??/ \\ é'
    program = kernels_c.single("k_launch", name="strange")
    program = replace(program, steps=(replace(program.steps[0], key=key),), description={"note": key, "n": [1.5, None]})
    from sparsecc.runtime import load

    library = load(kernels_c.build(program))
    assert library.profile(runs=1)[0][0] == key
    assert library.description["note"] == key


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


@pytest.mark.parametrize(
    "cc", [None, pytest.param("gcc", marks=pytest.mark.skipif(not shutil.which("gcc"), reason=""))]
)
def test_a_library_exports_the_interface_and_needs_libc_only(cc: str | None) -> None:
    path = kernels_c.folder() / f"exports-{cc}.so"
    build_library(
        kernels_c.tiny(), kernels=kernels_c.kernels(), triple=kernels_c.TRIPLE, cpu_features=(), out=path, cc=cc
    )
    symbols = list(elf.parse(path.read_bytes(), name="").symbols(elf.DYNSYM))
    assert {s.name for s in symbols if s.section} == {f"tiny_{f}" for f in FUNCTIONS}
    assert not {s.name for s in symbols if "tvm" in s.name.lower()}
    assert needed(path) <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}
    assert os.access(path, os.X_OK)
    assert path.stat().st_size < 40_000


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
    program = kernels_c.tiny()
    build_library(program, kernels=kernels_c.kernels(triple), triple=triple, cpu_features=("neon",), out=path)
    parsed = elf.parse(path.read_bytes(), name="")
    assert elf.machine_name(parsed.bits, parsed.machine) in triple.replace("armv7l", "armv7")
    assert {s.name for s in parsed.symbols(elf.DYNSYM) if s.section} == {f"tiny_{f}" for f in FUNCTIONS}


# --- C programs ----------------------------------------------------------------------------------------------------

APP = """
#include <math.h>
#include <stdio.h>
#include "@.h"
int run_@(void) {
  @_t *net, *other;
  if (@_create(&net) || @_create(&other)) return puts(@_last_error());
  float x[105], y[105], z[105];
  const void *inputs[] = {x};
  void *outputs[] = {y}, *others[] = {z};
  double seconds[3];
  for (int i = 0; i < 105; ++i) x[i] = (float)i * 0.25f;
  if (@_num_inputs() != 1 || @_input_rank(0) != 3 || @_input_shape(0)[2] != 7 || @_input_rank(1) != -1) return 2;
  if (@_output_name(0)[0] != 'y' || @_output_name(-1) || @_num_steps() != 3 || @_step_key(3)) return 3;
  if (@_run(net, inputs, outputs)) return puts(@_last_error());
  for (int n = 1; n < 4; ++n) {
    if (@_set_threads(other, n) != n || @_profile(other, inputs, others, seconds)) return puts(@_last_error());
    for (int i = 0; i < 105; ++i) if (y[i] != z[i]) return 4;
  }
  if (@_set_threads(net, 0) < 1 || @_set_threads(net, -1) != -1) return 5;
  if (@_run(NULL, inputs, outputs) != 1 || @_run(net, NULL, outputs) != 1 || !@_last_error()[0]) return 6;
  inputs[0] = NULL;
  if (@_run(net, inputs, outputs) != 1 || @_create(NULL) != 1) return 7;
  double sum = 0;
  for (int i = 0; i < 105; ++i) sum += y[i] * (i + 1);
  @_destroy(net);
  @_destroy(other);
  @_destroy(NULL);
  printf("%.1f %s %s\\n", sum, @_target(), @_last_error());
  return 0;
}
"""
MAIN = "int run_{0}(void); int main(void) {{ return run_{0}(); }}\n"


def compile_and_run(name: str, *parts: str, sources: dict[str, str], flags: tuple[str, ...] = ()) -> list[str]:
    """Compile a C program in the test folder, run it, and give its lines."""
    folder = kernels_c.folder()
    for file, text in sources.items():
        (folder / file).write_text(text)
    target = ("-target", "x86_64-linux-gnu.2.28", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1")
    command = (*ZIG, *target, *flags, "-o", name, *sources, *parts, "-lm", "-lpthread")
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([f"./{name}"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.splitlines()


def expected_sum() -> float:
    x = (np.arange(105) * 0.25).astype("float32").reshape(kernels_c.SHAPE)
    return float((kernels_c.tiny_reference(x).ravel().astype("float64") * np.arange(1, 106)).sum())


def test_c_program_with_a_shared_library() -> None:
    kernels_c.tiny_library()
    sources = {"app.c": APP.replace("@", "tiny"), "main.c": MAIN.format("tiny")}
    lines = compile_and_run("app", "-L.", "-l:tiny.so", "-Wl,-rpath,$ORIGIN", sources=sources)
    assert lines[0].startswith(f"{expected_sum():.1f} x86-64 tiny: create needs")


def test_two_static_archives_in_one_program() -> None:
    for name in ("one", "two"):
        kernels_c.build(kernels_c.tiny(name), static=True)
    both = "int run_one(void); int run_two(void); int main(void) { return run_one() || run_two(); }\n"
    sources = {"one.c": APP.replace("@", "one"), "two.c": APP.replace("@", "two"), "both.c": both}
    lines = compile_and_run("both", "one.a", "two.a", sources=sources)
    assert [line.split()[0] for line in lines] == [f"{expected_sum():.1f}"] * 2


def test_header_is_plain_c_and_cpp() -> None:
    kernels_c.tiny_library()
    folder = kernels_c.folder()
    for extension, standard in (("c", "c99"), ("cpp", "c++11")):
        (folder / f"header.{extension}").write_text('#include "tiny.h"\n#include "tiny.h"\n')
        flags = (f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-target", "x86_64-linux-gnu.2.28")
        subprocess.run((*ZIG, *flags, "-c", f"header.{extension}", "-o", "header.o"), cwd=folder, check=True)


@pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind")
def test_create_and_destroy_leak_nothing() -> None:
    kernels_c.tiny_library()
    sources = {"leak.c": APP.replace("@", "tiny"), "leakmain.c": MAIN.format("tiny")}
    compile_and_run("leak", "-L.", "-l:tiny.so", "-Wl,-rpath,$ORIGIN", sources=sources)
    command = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all", "--error-exitcode=9", "./leak"]
    done = subprocess.run(command, cwd=kernels_c.folder(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("triple", "musl", "cpu"),
    [
        ("aarch64-linux-gnu", "aarch64-linux-musl", "qemu-aarch64"),
        ("armv7l-linux-gnueabihf", "arm-linux-musleabihf", "qemu-arm"),
    ],
)
def test_arm_archives_run(triple: str, musl: str, cpu: str) -> None:
    folder = Path(tempfile.mkdtemp(dir=kernels_c.folder()))
    kernels = kernels_c.kernels(triple)
    features = ("neon", "vfp4") if "arm-" in musl else ("neon", "fp-armv8", "v8a")
    program = kernels_c.tiny()
    build_library(program, kernels=kernels, triple=triple, cpu_features=features, out=folder / "tiny.a", static=True)
    (folder / "tiny.h").write_text(header_of(program, triple=triple))
    (folder / "app.c").write_text(APP.replace("@", "tiny") + MAIN.format("tiny"))
    subprocess.run((*ZIG, "-target", musl, "-static", "-o", "app", "app.c", "tiny.a", "-lm"), cwd=folder, check=True)
    done = subprocess.run([emulator(cpu), "./app"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(f"{expected_sum():.1f} "), done


# --- errors of tools and disks -------------------------------------------------------------------------------------


def link(out: Path, **options: object) -> None:
    arguments = {"kernels": kernels_c.kernels(), "triple": kernels_c.TRIPLE, "cpu_features": (), **options}
    build_library(kernels_c.tiny(), out=out, **arguments)  # type: ignore[arg-type]


def fake_compiler(folder: Path, *, says: str) -> str:
    script = folder / "fake-cc"
    script.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    script.chmod(0o755)
    return str(script)


def test_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolchainError, match="'no-such-cc' not found; install it"):
        link(tmp_path / "m.so", cc="no-such-cc")
    monkeypatch.setenv(CC_VARIABLE, "no-such-cc-either")
    with pytest.raises(ToolchainError, match="no-such-cc-either"):
        link(tmp_path / "m.so")
    monkeypatch.delenv(CC_VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="pip install ziglang"):
        link(tmp_path / "m.so")
    assert not list(tmp_path.iterdir())


def test_failing_compiler_is_quoted_and_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "m.so"
    out.write_text("old")
    (tmp_path / "bin").mkdir()
    with pytest.raises(ToolchainError, match="cosmic rays"):
        link(out, cc=fake_compiler(tmp_path / "bin", says="error: cosmic rays"))
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "m.so"]


def test_missing_kernel_is_a_link_error(tmp_path: Path) -> None:
    program = with_step(1, symbol="k_forgotten")
    with pytest.raises(ToolchainError, match="tiny_k_forgotten"):
        build_library(
            program, kernels=kernels_c.kernels(), triple=kernels_c.TRIPLE, cpu_features=(), out=tmp_path / "m.so"
        )


@pytest.mark.parametrize("triple", ["riscv64-linux-gnu", "x86_64-apple-darwin", "nonsense"])
def test_unknown_triples(triple: str) -> None:
    with pytest.raises(TargetError, match="no library can be linked"):
        find_compiler(None, triple=triple)


def test_output_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for out, message in [
        ("missing/m.so", "create it first"),
        ("file/m.so", "not a folder"),
        ("folder", "folder of that"),
    ]:
        with pytest.raises(OutputError, match=message):
            link(tmp_path / out)


@pytest.mark.parametrize(("code", "advice"), [(errno.EROFS, "read-only"), (errno.EACCES, "permissions")])
def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    def refuse(*arguments: object, **options: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("sparsecc.runtime.files.os.open", refuse)
    with pytest.raises(OutputError, match=advice):
        link(tmp_path / "m.so")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    with pytest.raises(OutputError, match="TMPDIR"):
        link(tmp_path / "m.so", cc=fake_compiler(tmp_path / "bin", says="fatal: No space left on device"))

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sparsecc.build.link.shutil.copyfileobj", full)
    with pytest.raises(OutputError, match=r"m\.so: No space left on device; free some disk space"):
        link(tmp_path / "m.so")
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]
