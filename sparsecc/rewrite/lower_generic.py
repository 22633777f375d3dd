"""Operators without a kernel of their own: our recipe, or a schedule that MetaSchedule found."""

from __future__ import annotations

from sparsecc._tvm import IRModule, PrimFunc, structural_hash
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import TirOp
from sparsecc.facts.layer_key import LayerKey
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.rewrite.choice import Choice, Choose, Verdict, by_cost_model
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.generic import schedule_generic, with_layouts
from sparsecc.schedule.traces import MisfitError, UnknownTraceError, apply_trace, sample_traces
from sparsecc.spaces.config import Config, TraceConfig
from sparsecc.target import Target

#: our own recipe
OWN = TraceConfig("")
#: schedules that a search may try of an operator
_SAMPLES = 31


def lower_generic(
    node: PlacedNode,
    operator: TirOp,
    placed: Placed,
    module: IRModule,
    target: Target,
    choose: Choose = by_cost_model,
) -> Lowered:
    """Schedule what Relax fused into one function."""
    tensors = iter(node.inputs)
    inputs = tuple(next(tensors) if constant is None else constant for constant in operator.constants)
    arguments = (*inputs, node.output)
    layouts = tuple(placed.layouts[a] if isinstance(a, int) else None for a in arguments)
    function = with_layouts(module[operator.function], layouts)
    chosen = choose(_choice(function, placed.shapes[node.output], target))
    config = chosen.config
    assert isinstance(config, TraceConfig), "an operator's choice gives its schedule"
    scheduled = _scheduled(function, config, target)
    identity = ("generic", operator.function, layouts, config)
    knobs = {"schedule": "MetaSchedule"} if config.trace else {}
    return Lowered("generic", identity, scheduled, arguments, knobs, why=chosen.why, choice=chosen.choice)


def _scheduled(function: PrimFunc, config: TraceConfig, target: Target) -> PrimFunc:
    return apply_trace(function, config.trace) if config.trace else schedule_generic(function, lanes=target.lanes)


def _choice(function: PrimFunc, shape: tuple[int, ...], target: Target) -> Choice:
    def space() -> tuple[Config, ...]:
        traces = sample_traces(function, target.llvm, count=_SAMPLES, seed=0)
        return (OWN, *(TraceConfig(trace) for trace in traces))

    def check(config: Config) -> Verdict:
        try:
            return Verdict(isinstance(config, TraceConfig) and bool(_scheduled(function, config, target)))
        except MisfitError:
            return Verdict(False)
        except UnknownTraceError as error:
            return Verdict(False, str(error))

    return Choice(_key(function, shape), OWN, space, lambda config: None, check)


def _key(function: PrimFunc, shape: tuple[int, ...]) -> LayerKey:
    """The operator's loops tell it from others; names of networks and layers are no part of their hash."""
    n, c, h, w = (*shape, 1, 1, 1, 1)[:4]
    return LayerKey(
        kind="generic", spec=ConvSpec(n=n, ic=c, ih=h, iw=w, oc=c), block_n=1, density=100, pattern="none",
        scattered=False, epilogue=structural_hash(function), pitch=(w, w),
    )  # fmt: skip
