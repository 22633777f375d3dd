"""The page where libraries count their threads together, and the cores of a thread that change meanwhile."""

from __future__ import annotations

import functools
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import pytest
from kernels_c import TRIPLE, X, Y
from patience import PATIENCE_S
from process_folder import folder

from sparsecc.build.link import link_program
from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import find_compiler

WARNINGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")


@functools.cache
def board(*options: str) -> Path:
    """The tests in C, compiled once."""
    out = folder() / f"board{''.join(options)}"
    source = str(Path(__file__).parent / "board.c")
    compiler = find_compiler("gcc", triple=TRIPLE)
    compiler.run((f"-I{SOURCES}", *WARNINGS, *options, source, "-o", str(out), "-lpthread"), folder=folder())
    return out


@pytest.mark.parametrize("test", ["two pages", "lines", "groups", "strangers", "polite", "crowd"])
def test_board(test: str) -> None:
    assert subprocess.run([board(), test], timeout=PATIENCE_S).returncode == 0


@pytest.mark.parametrize("test", ["alone", "groups", "crowd"])
def test_where_the_system_has_no_such_page(test: str) -> None:
    assert subprocess.run([board("-DNO_MEMFD"), test], timeout=PATIENCE_S).returncode == 0


@pytest.mark.parametrize("test", ["two pages", "crowd"])
def test_no_thread_looks_at_what_another_writes(test: str) -> None:
    known = folder() / "known"
    # the mmap of one thread, where another found the page by /proc: the kernel orders that, and the tool can not know
    known.write_text("race:scc_board_make\n")
    done = subprocess.run(
        [board("-fsanitize=thread"), test], capture_output=True, text=True, timeout=PATIENCE_S,
        env={**os.environ, "TSAN_OPTIONS": f"suppressions={known} print_suppressions=0"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


#: CPUs that the calling thread may use, of a machine of whose cores nothing is known
HEAD = """\
#define _GNU_SOURCE 1
#include <sched.h>
#include <string.h>
static int fake_cpus = 3;
static int fake_affinity(pid_t pid, size_t bytes, cpu_set_t *set) {
  memset(set, 0, bytes);
  for (int cpu = 0; !pid && cpu < fake_cpus; ++cpu) CPU_SET(cpu, set);
  return 0;
}
#define sched_getaffinity fake_affinity
#define SCC_ROOT "/nowhere"
"""
DRIVER = """
static float x[105], y[105];
static int run(tiny_t *self) {
  const void *inputs[] = {x};
  void *outputs[] = {y};
  return tiny_run(self, inputs, outputs) ? -1 : self->pool.wanted;
}
int main(void) {
  tiny_t *free, *told;
  if (fread(x, sizeof x, 1, stdin) != 1 || tiny_create(&free) || tiny_create(&told)) return 1;
  if (tiny_set_threads(told, 2) != 2 || run(free) != 3 || run(told) != 2) return 2;
  pthread_t before = free->pool.workers[1].thread;
  if (run(free) != 3 || !pthread_equal(before, free->pool.workers[1].thread)) return 3;
  fake_cpus = 1;
  if (run(free) != LATE(3, 1) || run(told) != 2 || told->pool.machine.cpus != LATE(3, 1)) return 4;
  fake_cpus = 5;
  if (run(free) != LATE(3, 5) || free->pool.running != LATE(3, 5) || run(told) != 2) return 5;
  if (tiny_set_threads(told, 0) != 5 || run(told) != 5) return 6;
  tiny_destroy(free);
  tiny_destroy(told);
  return fwrite(y, sizeof y, 1, stdout) != 1;
}
"""


@pytest.mark.parametrize("late", [False, True])
def test_a_run_takes_the_cores_that_the_thread_may_use_by_now(late: bool) -> None:
    """At the next run, or when it is time to look again."""
    sources = kernels_c.sources()
    out = folder() / f"follow{late}"
    head = HEAD + f"#define SCC_LOOK_EVERY_NS {3600 * 10**9 if late else 1}\n"
    head += f"#define LATE(before, after) ({'before' if late else 'after'})\n"
    compiler = find_compiler("gcc -Wextra -Werror", triple=TRIPLE, programs=True)
    link_program(replace(sources, main=head + sources.main, tail=DRIVER), out, compiler=compiler)
    done = subprocess.run([out], input=X.tobytes(), capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, Y.astype("float32").tobytes())
