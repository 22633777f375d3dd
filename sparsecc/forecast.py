"""A network that is not compiled: its plan (``sparsecc.inspect``), and the report with kernels and predicted times."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sparsecc.analyse.impose import pattern_of
from sparsecc.analyse.plan import Plan
from sparsecc.build.spill import spilled_if_large
from sparsecc.fitted import resolve_fitted
from sparsecc.importer import one_request
from sparsecc.keywords import explained
from sparsecc.options import Options
from sparsecc.pipeline import analyse, bring_in, lower_all, rewrite, target_of
from sparsecc.report import Report, make_report, rearrangement_notes
from sparsecc.target import Target
from sparsecc.target.native.cpu import processor_of
from sparsecc.target.records.lookup import find_records


@explained
def inspect(
    model: Any,
    target: str | Target = "native",
    *,
    example_inputs: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    winograd: bool = True,
    max_growth: float | None = None,
    schedules: str | os.PathLike[str] | None = "shipped",
    impose: tuple[int, float] | None = None,
) -> Plan:
    """Find every layer's 1xN structure and what :func:`compile`, with these parameters, would do with it."""
    options = Options(
        keep_dense=keep_dense, min_speedup=min_speedup, winograd=winograd, max_growth=max_growth, schedules=schedules
    )
    resolved, _ = resolve_fitted(target)
    records = find_records(options.schedules, resolved, cpu=processor_of(target))
    imported = bring_in(*one_request(model, example_inputs, shapes), impose=pattern_of(impose), keep=spilled_if_large)
    return analyse(imported, resolved, options, choose=partial(records.choose, threads=1), cpu=records.cpu)


def forecast(
    model: Any,
    target: str | Target = "native",
    options: Options | None = None,
    *,
    example_inputs: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Say of every layer what :func:`sparsecc.compile` would make, and how long that is predicted to take.

    Parameters are those of :func:`sparsecc.compile`, whose options are one here; nothing is verified, and the memory is
    not planned.
    """
    options = Options() if options is None else options
    resolved, figures = resolve_fitted(target)
    records = find_records(options.schedules, resolved, cpu=processor_of(target))
    choose = partial(records.choose, threads=1)
    progress("import")
    imported = bring_in(*one_request(model, example_inputs, shapes), impose=options.impose)
    progress("analyse")
    plan = analyse(imported, resolved, options, choose=choose, cpu=records.cpu)
    progress("rewrite")
    made = rewrite(imported, plan, resolved, choose)
    progress("schedule")
    resolved = target_of(made, resolved)
    lowered = lower_all(made, resolved, choose)
    notes = (*imported.notes, *made.notes, *records.problems, *rearrangement_notes(plan, made.plan))
    return make_report(
        made.plan, lowered, resolved.name, notes, figures, made.joins,
        macs_per_cycle=resolved.lanes * resolved.fma_per_cycle, ghz=resolved.ghz, types=made.types,
    )  # fmt: skip
