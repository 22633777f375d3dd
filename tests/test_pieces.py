"""Pieces of a region that other threads take over: each is done once, whoever comes late, and bits stay the same."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import pytest
from helpers import random_inputs
from kernels_c import TRIPLE, X, Y
from patience import PATIENCE_S
from process_folder import folder
from torch import nn

import sparsecc
from sparsecc.build.link import link_program
from sparsecc.build.toolchain import find_compiler

HERE = Path(__file__).parent
#: it knows no fences, which guard against forks only
SANITIZED = "-fsanitize=thread -Wno-tsan"
#: every step in as many pieces as there can be, all threads for each; workers come late, or are put aside, at random
SCATTERED = """\
#ifndef __ASSEMBLER__
#define SCC_LEARNS 0
#define SCC_PIECE_CYCLES 1
#define SCC_THREAD_CYCLES 1
#define SCC_DELAY(index, inside) hold_back(index, inside)
#include <sched.h>
#include <unistd.h>
static void hold_back(int index, int inside) {
  static _Thread_local unsigned state;
  state = state * 1103515245u + 12345u + (unsigned)index;
  if ((state >> 16) % 32 == 0) sched_yield();
  if (index && (state >> 16) % 32 == 1) usleep(inside ? 20 : 200);
}
#endif
"""


@functools.cache
def driver(options: str) -> Path:
    """A program that holds the pool's workers back."""
    sources = kernels_c.sources()
    out = folder() / f"pieces{options}"
    compiler = find_compiler(f"gcc {options}", triple=TRIPLE)
    head, text = (HERE / "pieces.h").read_text(), (HERE / "pieces.c").read_text()
    link_program(replace(sources, main=head + sources.main, tail=text), out, compiler=compiler)
    return out


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("options", ["-Wextra -Werror", SANITIZED])
def test_every_piece_is_done_once(threads: int, options: str) -> None:
    """By those who are there, when others never come, come for the next region, or stop inside a piece."""
    done = subprocess.run([driver(options), str(threads)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")


@functools.cache
def scattered() -> str:
    """A compiler for libraries whose workers are held back at random."""
    path = folder() / "scattered.h"
    path.write_text(SCATTERED)
    return f"gcc -D_GNU_SOURCE=1 -include {path}"


def test_a_network_gives_the_same_bits(tmp_path: Path) -> None:
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU()]
    more = [nn.Conv2d(32, 16, 1), nn.Conv2d(16, 16, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, *more, nn.Linear(16, 20), nn.Softmax(1)).eval()
    (x,) = random_inputs((2, 3, 30, 30))
    compiled = sparsecc.compile(model, example_inputs=(x,), threads=1)
    first = compiled(x.numpy()).tobytes()
    steps = compiled._artefact.program.steps
    assert all(step.cycles for step in steps)
    assert sum(step.shares > 16 for step in steps) > 2
    compiled._artefact.link(tmp_path / "scattered.so", cc=scattered(), static=False)
    library = sparsecc.load(tmp_path / "scattered.so")
    for threads in (1, 2, 3, 7, 16):
        library.threads = threads
        assert all(library(x.numpy()).tobytes() == first for _ in range(20))


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_no_data_races(threads: int) -> None:
    """By ThreadSanitizer: runs of a small network, workers held back at random."""
    program = racing()
    done = subprocess.run([program, *"x" * threads], input=X.tobytes(), capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == Y.astype("float32").tobytes()


RUNS = """
#include <stdio.h>
int main(int argc, char **argv) {
  tiny_t *self;
  float x[105], y[105];
  const void *inputs[] = {x};
  void *outputs[] = {y};
  (void)argv;
  if (fread(x, sizeof x, 1, stdin) != 1 || tiny_create(&self) || tiny_set_threads(self, argc - 1) != argc - 1) return 1;
  for (int i = 0; i < 200; ++i)
    if (tiny_run(self, inputs, outputs)) return 2;
  tiny_destroy(self);
  return fwrite(y, sizeof y, 1, stdout) != 1;
}
"""


@functools.cache
def racing() -> Path:
    """The small network's program with a sanitizer."""
    sources = kernels_c.sources()
    out = folder() / "racing"
    compiler = find_compiler(f"{scattered()} {SANITIZED}", triple=TRIPLE)
    link_program(replace(sources, tail=RUNS), out, compiler=compiler)
    return out
