"""MetaSchedule's schedules of operators that have no kernel of their own, as text that can be kept and replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparsecc._tvm import IRModule, PrimFunc, Schedule, meta_schedule, s_tir, tirx, tvm
from sparsecc.errors import first_line
from sparsecc.kernels.generic.extremes import exact_extremes
from sparsecc.untrusted import parse_json

_NAME = "main"


class MisfitError(ValueError):
    """A trace that is for another operator."""


class UnknownTraceError(ValueError):
    """What this TVM does not take for a trace of the operator: damaged, or made by another version."""


def sample_traces(func: PrimFunc, llvm: Mapping[str, object], *, count: int, seed: int) -> list[str]:
    """Schedules from MetaSchedule's design space for CPUs: tiles, inlining, parallel, vectorized and unrolled loops.

    Parameters
    ----------
    func : PrimFunc
        Unscheduled.
    llvm : mapping
        Target description for TVM's LLVM back end.
    count, seed : int
        How many to draw; fewer come back where some are equal or break a rule.

    Returns
    -------
    list of str
        Traces as JSON, for :func:`apply_trace`.
    """
    with meta_schedule() as ms:
        context = ms.TuneContext(
            mod=IRModule({_NAME: func.with_attr("global_symbol", _NAME)}),
            target=tvm.target.Target({**llvm, "num-cores": 1}),  # a search for one core: the runtime shares loops out
            space_generator=ms.space_generator.PostOrderApply(),
            search_strategy=ms.search_strategy.ReplayTrace(),
            rand_state=seed + 1,
            num_threads=1,
        )
    strategy = context.search_strategy
    strategy.pre_tuning(count, count, context.generate_design_space(), None, None)
    candidates = strategy.generate_measure_candidates() or []
    return list(dict.fromkeys(json.dumps(_plain(c.sch.trace.as_json()), separators=(",", ":")) for c in candidates))


def apply_trace(func: PrimFunc, trace: str) -> PrimFunc:
    """Schedule an operator as a trace says.

    Raises
    ------
    MisfitError
        One of its steps is not possible with this operator.
    UnknownTraceError
        TVM fails in another way: the trace is damaged, or TVM has changed.
    """
    schedule = Schedule(func)  # not of a copy that nobody else holds: TVM would change the loops that both share
    try:
        s_tir.schedule.Trace.apply_json_to_schedule(parse_json(trace), schedule)
        s_tir.meta_schedule.postproc.RewriteParallelVectorizeUnroll().apply(schedule)
    except s_tir.schedule.ScheduleError as error:
        raise MisfitError("a trace that does not fit") from error
    except Exception as error:  # whatever TVM raises on what a file says
        raise UnknownTraceError(
            f"TVM {tvm.__version__} can't replay a schedule ({type(error).__name__}: {first_line(error)})"
        ) from error
    return exact_extremes(schedule.mod[_NAME])


def _plain(value: Any) -> Any:
    """TVM's containers and numbers as Python's."""
    if isinstance(value, str | int | float | bool) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, tirx.IntImm | tirx.FloatImm):
        return value.value
    return [_plain(item) for item in value]
