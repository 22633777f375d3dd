"""Operators without a kernel of their own: our recipe, or a schedule that MetaSchedule found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._codegen import evaluate
from sparsecc._tvm import IRModule, PrimFunc, Schedule, structural_hash
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import TirOp
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.generic.recipe import schedule_generic, with_layouts
from sparsecc.kernels.generic.traces import MisfitError, UnknownTraceError, apply_trace, sample_traces
from sparsecc.lower.choice import Verdict
from sparsecc.lower.config import TraceConfig
from sparsecc.lower.cost.stream import generic_cycles
from sparsecc.lower.kernel import Array, Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import trace_numbers
from sparsecc.lower.site import Site
from sparsecc.target import Target

#: our own recipe
OWN = TraceConfig("")
#: schedules that a search may try of an operator
_SAMPLES = 31


@dataclass(frozen=True, eq=False)
class GenericOptions:
    """What Relax fused into one function, with the arguments and layouts of a place; its schedule is open."""

    function: PrimFunc
    arguments: tuple[int | NDArray[Any], ...]
    layouts: tuple[PlaneLayout | None, ...]


def opened(site: Site[TirOp]) -> GenericOptions:
    """The function in its place."""
    node, operator = site.node, site.operator
    tensors = iter(node.inputs)
    inputs = tuple(next(tensors) if constant is None else constant for constant in operator.constants)
    arguments = (*inputs, node.output)
    layouts = tuple(site.placed.layouts[a] if isinstance(a, int) else None for a in arguments)
    return GenericOptions(with_layouts(site.module[operator.function], layouts), arguments, layouts)


def key(site: Site[TirOp], options: GenericOptions) -> LayerKey:
    """The operator's loops tell it from others; names of networks and layers are no part of their hash."""
    n, c, h, w = (*site.placed.shapes[site.node.output], 1, 1, 1, 1)[:4]
    return LayerKey(
        kind="generic", spec=ConvSpec(n=n, ic=c, ih=h, iw=w, oc=c), block_n=1, density=100, pattern="none",
        scattered=False, epilogue=structural_hash(options.function), pitch=(w, w),
    )  # fmt: skip


def default(site: Site[TirOp], options: GenericOptions) -> TraceConfig:
    """Our own recipe."""
    return OWN


def space(site: Site[TirOp], options: GenericOptions) -> Iterator[TraceConfig]:
    """Schedules that MetaSchedule draws: the same ones every time."""
    traces = sample_traces(options.function, site.target.llvm, count=_SAMPLES, seed=0)
    return (TraceConfig(trace) for trace in traces)


def legal(site: Site[TirOp], options: GenericOptions, config: TraceConfig) -> Verdict:
    """Whether a trace fits the function; others than those of the space may."""
    try:
        return Verdict(bool(_scheduled(options.function, config, site.target)))
    except MisfitError:
        return Verdict(False)
    except UnknownTraceError as error:
        return Verdict(False, str(error))


def cycles(site: Site[TirOp], options: GenericOptions, config: TraceConfig) -> None:
    """No model compares schedules."""


def lower(site: Site[TirOp], options: GenericOptions, config: TraceConfig) -> Lowered:
    """Schedule the function."""
    scheduled = _scheduled(options.function, config, site.target)
    identity = ("generic", site.operator.function, options.layouts, config)
    return Lowered(
        "generic", identity, scheduled, options.arguments, {"schedule": "MetaSchedule"} if config.trace else {}
    )


def cost(site: Site[TirOp], once: Once) -> Cost:
    """Cycles to read, compute and write what the function does."""
    read = sum(site.placed.nbytes(tensor) for tensor in site.node.inputs)
    read += sum(constant.nbytes for constant in site.operator.constants if constant is not None)
    written = site.placed.nbytes(site.node.output)
    iterations = _iterations(site.module, site.operator.function)
    found = generic_cycles(iterations=iterations, read=read, written=written, target=site.target)
    return Cost("generic", rest=found)


def reference(operator: TirOp, module: IRModule, inputs: Sequence[Array]) -> Array:
    """The function's result as TVM computes it without a schedule."""
    function, tensors = module[operator.function], map(np.ascontiguousarray, inputs)
    given = [next(tensors) if constant is None else constant for constant in operator.constants]
    result = function.params[-1].ty
    output = np.zeros([int(extent) for extent in result.shape], result.dtype.dtype)
    evaluate(function, [*given, output])
    return output


def _scheduled(function: PrimFunc, config: TraceConfig, target: Target) -> PrimFunc:
    return apply_trace(function, config.trace) if config.trace else schedule_generic(function, lanes=target.lanes)


def _iterations(module: IRModule, function: str) -> int:
    """Of the innermost loops of all blocks of a function."""
    schedule = Schedule(module[function])
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    return sum(math.prod(int(schedule.get(loop).extent) for loop in schedule.get_loops(block)) for block in blocks)


#: what is open in an operator without a kernel of its own
KNOBS = Knobs(key, default, space, cycles, numbers=trace_numbers, stored={"generic": TraceConfig.read}, legal=legal)
