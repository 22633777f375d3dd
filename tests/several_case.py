"""Libraries for several shapes, of kernels in C that say which program computed a result."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kernels_c import TRIPLE
from process_folder import folder

from sparsecc.build import build_library, header_of, plan_memory
from sparsecc.build.library import sources_of
from sparsecc.build.link import Sources
from sparsecc.build.toolchain import find_compiler
from sparsecc.ir.program import Port, Program, Ref, Step

#: floats of an image
WIDE = 4
_SOURCE = """
#include <stdint.h>
typedef struct { void *sync; int32_t num_task; } group_t;
typedef int (*task_t)(int, group_t *, void *);
__attribute__((weak)) int (*__TVMBackendParallelLaunch)(task_t, void *, int);
typedef struct { const float *x, *w; float *out; } args_t;
/* out = x * w + batch, images shared out over the threads */
#define KERNEL(B, WIDE, NAME) \\
  static int part_##NAME(int id, group_t *group, void *data) { \\
    args_t *p = data; \\
    for (int i = id; i < B * WIDE; i += group->num_task) p->out[i] = p->x[i] * p->w[0] + B; \\
    return 0; \\
  } \\
  int32_t k_##NAME(const float *x, const float *w, float *out) { \\
    args_t p = {x, w, out}; \\
    return __TVMBackendParallelLaunch(part_##NAME, &p, 0); \\
  }
KERNEL(1, 4, 1x4) KERNEL(2, 4, 2x4) KERNEL(3, 4, 3x4) KERNEL(4, 4, 4x4) KERNEL(2, 6, 2x6)
"""


@functools.cache
def kernels(triple: str = TRIPLE) -> bytes:
    """The kernels as an object file."""
    name = f"several-{triple}"
    (folder() / f"{name}.c").write_text(_SOURCE)
    find_compiler(None, triple=triple).run(
        ("-O2", "-g0", "-fPIC", "-c", f"{name}.c", "-o", f"{name}.o"), folder=folder()
    )
    return (folder() / f"{name}.o").read_bytes()


def program(batch: int, wide: int = WIDE) -> Program:
    """``(10 x + batch) * 10 + batch``, through a buffer; with more than four floats an image with a step more."""
    port, between, weight = (batch, wide), Ref("buffer", 0), Ref("weight", 0)
    symbol = f"k_{batch}x{wide}"
    steps = (
        Step(symbol, "first", (Ref("input", 0), weight, between), (2,)),
        Step(symbol, f"last_{batch}", (between, weight, Ref("output", 0)), (2,)),
    )
    return Program(
        "several", (Port("x", port),), (Port("y", port),), (4 * batch * wide,), (np.float32([10]),), steps,
        {"target": "x86-64"},
    )  # fmt: skip


def expected(x: np.ndarray, pieces: Sequence[int]) -> np.ndarray:
    """What a library gives that runs images in these pieces."""
    batch = np.repeat(pieces, pieces).astype(np.float32)[:, None]
    return (10 * x + batch) * 10 + batch


def shapes(*sizes: tuple[int, int] | int, in_pieces: bool = True) -> dict[str, Any]:
    """What a library of several programs is built from, as ``build_library`` has it."""
    programs = [program(*(size if isinstance(size, tuple) else (size,))) for size in sizes]
    first, *others = programs
    return {
        "program": first, "memory": plan_memory(first), "others": [(one, plan_memory(one)) for one in others],
        "in_pieces": in_pieces,
    }  # fmt: skip


def build(
    *sizes: tuple[int, int] | int, file: str, in_pieces: bool = True, cc: str | None = None, triple: str = TRIPLE
) -> Path:
    """A library of programs with these batches (and images), and its header."""
    told, out = shapes(*sizes, in_pieces=in_pieces), folder() / file
    build_library(
        **told, kernels=kernels(triple), triple=triple, cpu_features=(), out=out, cc=cc, static=out.suffix == ".a"
    )
    (folder() / "several.h").write_text(header_of(told.pop("program"), triple=triple, **told))
    return out


def sources(*sizes: int) -> Sources:
    """All that such a library is linked from."""
    return sources_of(**shapes(*sizes), kernels=kernels(), triple=TRIPLE, cpu_features=())


@functools.cache
def batches() -> Path:
    """Batches 1, 2 and 4."""
    return build(1, 2, 4, file="several.so")
