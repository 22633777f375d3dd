"""How many threads a library takes by itself, and threads that stay on one core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tuning_case import example, tiny_net

import sparsecc
from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import find_compiler

COUNT = """\
#define _GNU_SOURCE
#include <string.h>
#include "scc_runtime.h"
#include "scc_files.c"
#include "scc_speeds.c"
#include "scc_cores.c"
int main(int argc, char **argv) {
  scc_core cores[SCC_MAX_THREADS];
  for (int i = 1; i < argc; ++i) cores[i - 1] = (scc_core){i, atoi(argv[i])};
  qsort(cores, (size_t)argc - 1, sizeof *cores, scc_faster_first);
  printf("%d %d %d", scc_best_threads(cores, argc - 1), scc_capacity(3), scc_capacity(4));
  return 0;
}
"""


@pytest.fixture(scope="module")
def count(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that says how many of given cores are best, and what the kernel says of cores 3 and 4."""
    folder = tmp_path_factory.mktemp("cores")
    (folder / "cpu3").mkdir()
    (folder / "cpu3" / "cpu_capacity").write_text("485\n")
    (folder / "count.c").write_text(COUNT)
    options = (f"-I{SOURCES}", f'-DSCC_CPU_FOLDER="{folder}"', "count.c", "-o", "count")
    find_compiler(None, triple="x86_64-linux-gnu").run(options, folder=folder)
    return folder / "count"


@pytest.mark.parametrize(
    ("capacities", "best"),
    [
        ([1024], 1),
        ([1024] * 4, 4),
        ([485] * 4 + [1024] * 2, 6),  # six slow shares are done before two fast ones
        ([520] * 4 + [1024] * 4, 4),  # eight would give a fiftieth more
        ([250] * 4 + [1024] * 4, 4),
        ([450, 1024], 1),
    ],
)
def test_default_threads(count, capacities, best):
    shown = subprocess.run([count, *map(str, capacities)], capture_output=True, text=True, check=True).stdout
    assert shown == f"{best} 485 1024"


SCRIPT = """\
import os, sys, pathlib, numpy as np, sparsecc
lib = sparsecc.load(sys.argv[1], threads=3)
lib(np.zeros((1, 3, 20, 20), np.float32))
tasks = sorted(map(int, os.listdir("/proc/self/task")))
ours = [task for task in tasks if task != os.getpid()]
print(*sorted(len(os.sched_getaffinity(task)) for task in ours), len(os.sched_getaffinity(os.getpid())))
"""


@pytest.mark.parametrize("bind", ["", "0", "1"])
def test_threads_stay_on_a_core(bind, tmp_path):
    sparsecc.compile(tiny_net(), "native", example_inputs=example()).save(tmp_path / "net.so")
    environment = {**os.environ, "SPARSECC_BIND_THREADS": bind, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "net.so")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    cores = len(os.sched_getaffinity(0))
    assert done.stdout.split() == [str(1 if bind == "1" else cores)] * 2 + [str(cores)]
