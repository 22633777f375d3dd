"""How many threads a run uses: by what it learns, with a clock of the test's own, and by what its steps are worth."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from kernels_c import TRIPLE
from patience import PATIENCE_S
from process_folder import folder

from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import find_compiler
from sparsecc.runtime import load

#: with a system in which as many threads run as a file says
RUNNING = """\
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scc_runtime.h"
#include "scc_files.c"
static void scc_allowed(scc_cpus *set) { memset(set, 0, sizeof *set); }
#include "scc_others.c"
int main(void) { return printf("%d %d", scc_running(), scc_watched_cpus()) < 0; }
"""


def test_what_is_learned() -> None:
    """The cases are functions of ``learn.c``; what is wrong with one is what it says."""
    out = folder() / "learn"
    text = (Path(__file__).parent / "learn.c").read_text()
    (folder() / "learn.c").write_text(text)
    options = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}", "learn.c", "-o", "learn")
    find_compiler("gcc", triple=TRIPLE).run(options, folder=folder())
    done = subprocess.run([out], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("text", "running"),
    [("0.20 0.18 0.12 1/80 11206\n", 1), ("10.20 8.18 0.12 37/8000 1\n", 37), ("0.20 0.18", 0), ("", 0), (None, 0)],
)
def test_who_runs(tmp_path: Path, text: str | None, running: int) -> None:
    """A system that does not say so is no error."""
    (tmp_path / "proc").mkdir()
    if text is not None:
        (tmp_path / "proc" / "loadavg").write_text(text)
    (tmp_path / "running.c").write_text(RUNNING)
    options = ("-std=gnu11", "-w", f'-DSCC_ROOT="{tmp_path}"', "-DSCC_PREFIX=x", f"-I{SOURCES}")
    find_compiler("gcc", triple=TRIPLE).run((*options, "running.c", "-o", "running"), folder=tmp_path)
    done = subprocess.run([tmp_path / "running"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{running} 0"


@pytest.mark.parametrize(
    ("cycles", "shares", "used"),
    [
        (0, 0, 5),  # nobody knows
        (100, 0, 1),
        (19_999, 0, 1),
        (30_000, 0, 3),
        (10**9, 0, 5),
        (10**7, 15, 15),  # three pieces each
        (10**7, 7, 10),  # some have none: TVM gives every piece as many
        (10**7, 55, 5),  # eleven for each thread are no equal pieces
    ],
)
def test_threads_and_pieces_of_a_step(cycles: int, shares: int, used: int) -> None:
    program = kernels_c.single("k_threads", f"worth_{cycles}_{shares}")
    program = replace(program, steps=(replace(program.steps[0], cycles=cycles, shares=shares),))
    y = load(kernels_c.build(program), threads=5)()
    np.testing.assert_array_equal(y[: 2 * used : 2], [1 + used if used > 1 else 2] * used)
    assert not y[2 * used :].any()
