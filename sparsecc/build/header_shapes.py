"""What the C header of a library for several shapes says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsecc.build.sources import fill
from sparsecc.ir.program import Port, Program

_TEXT = """

/* Shapes. The library has @count@ programs of the network, one for each of these shapes of its inputs:
 *
@table@
 *
 * All of them share weights, an instance's working memory and its threads. The functions above, @name@_run among them,
 * are about shape 0. */
int @name@_num_shapes(void);

/* Which shape has inputs of these sizes (one array for each input, as many numbers as it has dimensions), or -1. */
int @name@_find_shape(const int64_t *const *sizes);

/* Sizes of an input or an output with a shape; any other number gives NULL. Names, types and numbers of dimensions are
 * the same for all shapes. */
const int64_t *@name@_shape_input(int shape, int i);
const int64_t *@name@_shape_output(int shape, int i);

/* @name@_run, @name@_profile, @name@_num_steps and @name@_step_key with a shape. */
int @name@_run_shape(@name@_t *model, int shape, const void *const *inputs, void *const *outputs);
int @name@_profile_shape(@name@_t *model, int shape, const void *const *inputs, void *const *outputs, double *seconds);
int @name@_shape_num_steps(int shape);
const char *@name@_shape_step_key(int shape, int i);

/* Runs any batch: `batch` images one after another in each array, as they are with the shape but for their number. A
 * batch that has no shape of its own is run in pieces that have one, the largest first. Where @name@_num_pieces gives 0
 * there are no such pieces: @name@_run_batch returns 1. @pieces@ */
int64_t @name@_num_pieces(int shape, int64_t batch);
int @name@_run_batch(@name@_t *model, int shape, int64_t batch, const void *const *inputs, void *const *outputs);"""

_SPLITS = "Which pieces there are decides about the last bits of a result."
_WHOLE = """This network's images are not computed each by itself, or have no
 * dimension of their own in all inputs and outputs, so there are none."""


def shapes_text(program: Program, description: dict[str, Any]) -> str:
    """Declarations of the functions that know of shapes; empty where there is only one."""
    shapes = description.get("shapes", [])
    if not shapes:
        return ""
    values = {
        "name": program.name,
        "count": str(len(shapes)),
        "table": "\n".join(f" *     shape {i}: {_inputs(shape)}" for i, shape in enumerate(shapes)),
        "pieces": _SPLITS if description["in_pieces"] else _WHOLE,
    }
    return fill(_TEXT, values)


def shape_sizes(program: Program, description: dict[str, Any]) -> dict[str, int]:
    """Macro -> value: how many shapes there are, elements and bytes of each one's inputs and outputs."""
    name, shapes = program.name.upper(), description.get("shapes", [])
    found = {f"{name}_NUM_SHAPES": len(shapes)} if shapes else {}
    for i, shape in enumerate(shapes):
        for kind, ports in (("input", program.inputs), ("output", program.outputs)):
            found |= _counts(f"{name}_SHAPE_{i}_{kind.upper()}", ports, shape[f"{kind}s"])
    return found


def _counts(prefix: str, ports: Sequence[Port], sizes: Sequence[Sequence[int]]) -> dict[str, int]:
    found = {}
    for i, (port, extents) in enumerate(zip(ports, sizes, strict=True)):
        found[f"{prefix}_{i}_COUNT"] = math.prod(extents)
        found[f"{prefix}_{i}_BYTES"] = math.prod(extents) * np.dtype(port.dtype).itemsize
    return found


def _inputs(shape: dict[str, Any]) -> str:
    return ", ".join(f"[{', '.join(map(str, sizes))}]" for sizes in shape["inputs"])
