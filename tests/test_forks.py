"""Forked processes in C: their threads start anew, whatever the parent's were doing and whatever their number is."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import replace
from pathlib import Path

import kernels_c
import pytest
from kernels_c import TRIPLE, X, Y
from patience import PATIENCE_S
from process_folder import folder

from sparsecc.build.link import link_program
from sparsecc.build.toolchain import find_compiler

#: children with the process id of their parents, as the first one of a pid namespace may have it
ONE_ID = """\
#define _GNU_SOURCE 1
#include <unistd.h>
#define getpid() 42
"""
NUMBERS = X.tobytes() + Y.astype("float32").tobytes()


#: a kernel that clears nothing in a child: then ids must tell
OLD_KERNEL = "-DSCC_WIPE_ON_FORK=9999"


@functools.cache
def driver(options: str = "", *, head: str = ONE_ID) -> Path:
    """The small network with a program that forks."""
    sources = kernels_c.sources()
    out = folder() / f"forks{options}"
    text = (Path(__file__).parent / "forks.c").read_text()
    compiler = find_compiler(f"gcc -Wextra -Werror -DSCC_LEARNS=0 {options}", triple=TRIPLE, programs=True)
    link_program(replace(sources, main=head + sources.main, tail=text), out, compiler=compiler)
    return out


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_forks(threads: int) -> None:
    """By the kernel: after clone() without the C library's handlers too."""
    done = subprocess.run([driver(), str(threads), "1"], input=NUMBERS, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_forks_where_the_kernel_clears_nothing(threads: int) -> None:
    program = driver(OLD_KERNEL, head="")
    done = subprocess.run([program, str(threads)], input=NUMBERS, capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, b"")
