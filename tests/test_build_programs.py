"""C programs that use a library: shared, static, in an emulator, and its header."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from patience import PATIENCE_S
from tuning_case import emulator, program

from sparsecc.build import header_of, plan_memory

ZIG = (sys.executable, "-m", "ziglang", "cc")

APP = """
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include "@.h"
int run_@(void) {
  @_t *net, *other;
  errno = 77;
  if (@_create(&net) || @_create(&other)) return puts(@_last_error());
  if (errno != 77) return 8;
  float x[105], y[105], z[105];
  const void *inputs[] = {x};
  void *outputs[] = {y}, *others[] = {z};
  double seconds[3];
  @_t *lean;
  if (@_create_lean(&lean)) return puts(@_last_error());
  for (int i = 0; i < 105; ++i) x[i] = (float)i * 0.25f;
  if (@_num_inputs() != 1 || @_input_rank(0) != 3 || @_input_shape(0)[2] != 7 || @_input_rank(1) != -1) return 2;
  if (@_output_name(0)[0] != 'y' || @_output_name(-1) || @_num_steps() != 3 || @_step_key(3)) return 3;
  if (@_run(net, inputs, outputs)) return puts(@_last_error());
  for (int n = 1; n < 4; ++n) {
    if (@_set_threads(other, n) != n || @_profile(other, inputs, others, seconds)) return puts(@_last_error());
    for (int i = 0; i < 105; ++i) if (y[i] != z[i]) return 4;
  }
  if (@_set_threads(lean, 2) != 2 || @_run(lean, inputs, others)) return puts(@_last_error());
  for (int i = 0; i < 105; ++i) if (y[i] != z[i]) return 10;
  @_destroy(lean);
  if (@_create_lean(NULL) != 1) return 11;
  if (@_set_threads(net, 0) < 1 || @_set_threads(net, -1) != -1) return 5;
  if (@_run(NULL, inputs, outputs) != 1 || @_run(net, NULL, outputs) != 1 || !@_last_error()[0]) return 6;
  inputs[0] = NULL;
  if (@_run(net, inputs, outputs) != 1 || @_create(NULL) != 1) return 7;
  double sum = 0;
  for (int i = 0; i < 105; ++i) sum += y[i] * (i + 1);
  @_destroy(net);
  @_destroy(other);
  @_destroy(NULL);
  if (errno != 77) return 9;
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
    done = subprocess.run([f"./{name}"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
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


def test_create_and_destroy_leak_nothing() -> None:
    kernels_c.tiny_library()
    sources = {"leak.c": APP.replace("@", "tiny"), "leakmain.c": MAIN.format("tiny")}
    compile_and_run("leak", "-L.", "-l:tiny.so", "-Wl,-rpath,$ORIGIN", sources=sources)
    command = [program("valgrind"), "-q", "--leak-check=full", "--show-leak-kinds=all", "--error-exitcode=9", "./leak"]
    done = subprocess.run(command, cwd=kernels_c.folder(), capture_output=True, text=True, timeout=PATIENCE_S)
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
    features = ("neon", "vfp4") if "arm-" in musl else ("neon", "fp-armv8", "v8a")
    program = kernels_c.tiny()
    kernels_c.link(program, folder / "tiny.a", triple=triple, features=features, static=True)
    (folder / "tiny.h").write_text(header_of(program, memory=plan_memory(program), triple=triple))
    (folder / "app.c").write_text(APP.replace("@", "tiny") + MAIN.format("tiny"))
    subprocess.run((*ZIG, "-target", musl, "-static", "-o", "app", "app.c", "tiny.a", "-lm"), cwd=folder, check=True)
    done = subprocess.run([emulator(cpu), "./app"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.startswith(f"{expected_sum():.1f} "), done
