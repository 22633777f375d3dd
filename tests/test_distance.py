"""Threads on two chips: the runtime notices, and flushes what a step is going to write."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import pytest
from helpers import random_inputs
from kernels_c import TRIPLE, X, Y
from process_folder import folder
from torch import nn

import sparsecc
from sparsecc.build.link import link_program
from sparsecc.build.toolchain import CC_VARIABLE, find_compiler

#: the number of lines that were flushed takes the place of flushing them; a quota of processor time is no business here
COUNTER = """\
#define SCC_ROOT "/nowhere"
#include <stdatomic.h>
static _Atomic int flushed;
#define SCC_FLUSH_LINE(line) (++flushed, (void)(line))
"""
DRIVER = """
int main(int argc, char **argv) {
  tiny_t *self;
  float x[105], y[105];
  const void *inputs[] = {x};
  void *outputs[] = {y};
  if (tiny_create(&self) || tiny_set_threads(self, argc - 1) != argc - 1) return 1;
  if (fread(x, sizeof x, 1, stdin) != 1 || tiny_run(self, inputs, outputs)) return 2;
  int far = self->pool.far, first = flushed;
  if (tiny_run(self, inputs, outputs)) return 3;
  fprintf(stderr, "%d %d %d", far, first, flushed - first);
  return fwrite(y, sizeof y, 1, stdout) != 1;
}
"""
CORES = len(os.sched_getaffinity(0))


def driver(far_ns: int) -> Path:
    """The small network as a program, for which longer round trips than these leave the chip."""
    sources = kernels_c.sources()
    out = folder() / f"far{far_ns}"
    options = f"-DSCC_FAR_NS={far_ns} -DSCC_PATIENCE_NS=20000000000 -DSCC_LEARNS=0"
    compiler = find_compiler(f"gcc {options}", triple=TRIPLE, programs=True)
    link_program(replace(sources, main=COUNTER + sources.main, tail=DRIVER), out, compiler=compiler)
    return out


@pytest.mark.parametrize(("far_ns", "threads"), [(0, 2), (0, 1), (10**8, 2), (0, CORES + 1)])
def test_lines_are_flushed_between_chips_only(far_ns, threads):
    done = subprocess.run([driver(far_ns), *"x" * threads], input=X.tobytes(), capture_output=True, check=True)
    assert done.stdout == Y.astype("float32").tobytes()
    far, first, second = map(int, done.stderr.split())
    is_far = far_ns == 0 and 1 < threads <= CORES
    assert far == is_far
    # of three steps the second has threads, and a result in the arena: 420 bytes
    assert first == second == (7 if is_far else 0)


def test_a_network_gives_the_same_bits(monkeypatch):
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(32, 16, 1), nn.Conv2d(16, 8, 3, stride=2, padding=1)).eval()
    (x,) = random_inputs((1, 3, 30, 30))
    near = sparsecc.compile(model, example_inputs=(x,), threads=1).library
    monkeypatch.setenv(CC_VARIABLE, "gcc -DSCC_FAR_NS=0")
    far = sparsecc.compile(model, example_inputs=(x,), threads=2).library
    for _ in range(3):
        assert far(x.numpy()).tobytes() == near(x.numpy()).tobytes()
