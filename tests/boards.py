"""Boards as an emulator has them, and programs for them that need nothing but what ``pip`` installs to be linked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from patience import PATIENCE_S
from tuning_case import emulator, program

from sparsecc.build.toolchain import find_compiler
from sparsecc.compiled import Compiled
from sparsecc.target import TARGETS
from sparsecc.target.arm import ARM

#: target -> the core that the emulator is told to be, so that an instruction which the board lacks ends the program.
#: QEMU 7.2 has no core of ARMv8 for 32-bit programs but its own: Cortex-A7 has all that 32-bit code is made of. Nor has
#: it Cortex-A55, A73 and A78: their stand-ins have the same instructions, but for some that no compiler is told of.
CORES = {
    "aarch64": "cortex-a53",
    "armv7": "cortex-a7",
    "rpi2": "cortex-a7",
    "rpi3": "cortex-a53",
    "rpi3-32": "cortex-a7",
    "rpi-zero2": "cortex-a53",
    "rpi4": "cortex-a72",
    "rpi4-32": "cortex-a7",
    "rpi5": "cortex-a76",
    "cortex-a55": "cortex-a76",
    "cortex-a73": "cortex-a72",
    "cortex-a78": "neoverse-n1",
    "neoverse-n1": "neoverse-n1",
}
assert set(CORES) == set(ARM)

#: reads all inputs from stdin, writes all outputs to stdout; the argument is the number of threads
PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
#include "model.h"
static float *array(int rank, const int64_t *shape, size_t *count) {
  *count = 1;
  for (int i = 0; i < rank; ++i) *count *= (size_t)shape[i];
  return malloc(*count * sizeof(float));
}
int main(int argc, char **argv) {
  model_t *net;
  size_t in, out[256];
  if (argc < 2 || model_create(&net)) return fprintf(stderr, "%s\\n", model_last_error()), 1;
  if (model_set_threads(net, atoi(argv[1])) < 0) return fprintf(stderr, "%s\\n", model_last_error()), 1;
  float *x = array(model_input_rank(0), model_input_shape(0), &in);
  const void *inputs[] = {x};
  void *outputs[256];
  int count = model_num_outputs();
  if (count > 256) return 5;
  for (int i = 0; i < count; ++i) outputs[i] = array(model_output_rank(i), model_output_shape(i), &out[i]);
  if (fread(x, sizeof *x, in, stdin) != in) return 2;
  if (model_run(net, inputs, outputs)) return fprintf(stderr, "%s\\n", model_last_error()), 3;
  for (int i = 0; i < count; ++i)
    if (fwrite(outputs[i], sizeof(float), out[i], stdout) != out[i]) return 4;
  model_destroy(net);
  return 0;
}
"""


def bits(target: str) -> int:
    """Word size of a target."""
    return 64 if TARGETS[target].triple.startswith("aarch64") else 32


def debian_triple(target: str) -> str:
    """What Debian's cross compilers and their libraries are named after."""
    return {64: "aarch64-linux-gnu", 32: "arm-linux-gnueabihf"}[bits(target)]


def board(target: str, *, libraries: bool = False) -> list[str]:
    """What to put before a program for a target; ``libraries`` for one that needs those of Debian's cross compiler."""
    found = [emulator({64: "qemu-aarch64", 32: "qemu-arm"}[bits(target)]), "-cpu", CORES[target]]
    if not libraries:
        return found
    program(f"{debian_triple(target)}-gcc")  # brings the libraries
    return [*found, "-L", f"/usr/{debian_triple(target)}"]


def static_program(compiled: Compiled, folder: Path) -> Path:
    """A program of :data:`PROGRAM` and the static library, linked by ziglang."""
    compiled.save(folder / "model.a")
    return program_with_archive(folder, compiled.target, folder)


def program_with_archive(made: Path, target: str, folder: Path) -> Path:
    """The same, in ``folder``, with ``model.a`` and ``model.h`` of another one."""
    (folder / "app.c").write_text(PROGRAM)
    compiler = find_compiler(None, triple=TARGETS[target].triple, programs=True)
    words = ("-O2", "app.c", f"-I{made}", f"{made}/model.a", "-lm", "-lpthread", "-o", "app")
    compiler.run(words, folder=folder)
    return folder / "app"


def program_with_library(compiled: Compiled, folder: Path) -> Path:
    """The same with the shared library beside it."""
    compiled.save(folder / "model.so")
    (folder / "host.c").write_text(PROGRAM)
    compiler = find_compiler(None, triple=TARGETS[compiled.target].triple)
    compiler.run(("host.c", "model.so", "-Wl,-rpath,$ORIGIN", "-o", "host"), folder=folder)
    return folder / "host"


def run(command: Sequence[str], x: torch.Tensor, *, threads: int, shape: Sequence[int]) -> np.ndarray:
    """The network's output; of several, all one after another."""
    done = subprocess.run([*command, str(threads)], input=x.numpy().tobytes(), capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.float32).reshape(tuple(shape))


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference relative to the largest output."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
