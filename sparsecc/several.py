"""One network for several shapes: a program for each, with weights and kernels in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._codegen import compile_object
from sparsecc._tvm import PrimFunc, structural_hash, structurally_equal
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.agree import agreed
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan, Structures
from sparsecc.artefact import Artefact
from sparsecc.build import MemoryPlan
from sparsecc.build.spill import spilled_if_large
from sparsecc.build.weights import identity, plan_weights
from sparsecc.errors import NotSupportedError
from sparsecc.importer import Imported
from sparsecc.ir.layer import convolutions
from sparsecc.ir.program import Program, Ref
from sparsecc.options import Options
from sparsecc.pipeline import Progress, algorithms_of, bring_in, finish, run
from sparsecc.report import shape_row
from sparsecc.stages import Stages
from sparsecc.target import Target
from sparsecc.target.records.lookup import Records
from sparsecc.watch import watchers

#: a model and its example inputs
Request = tuple[Any, Sequence[Any] | None]


def run_requests(
    requests: Sequence[Request],
    target: Target,
    options: Options,
    *,
    progress: Progress,
    figures: str,
    records: Records,
    name: str,
    in_pieces: Callable[[Sequence[Imported]], bool],
) -> tuple[Artefact, tuple[Imported, ...]]:
    """Compile a network for one shape or several, up to, not including, the link.

    The first shape's program packs its weights as is best for it; the others, and all that decide between algorithms,
    go by what is best for all shapes while there is one set of weights.

    Parameters
    ----------
    requests : sequence of (model, example inputs)
        The same model with other shapes, the first one first.
    in_pieces : callable
        Whether a batch may be computed in pieces.

    Raises
    ------
    NotSupportedError
        The shapes' programs have other inputs, outputs or weights.
    """
    count = len(requests)
    if count == 1:
        artefact, one = run(
            *requests[0], target, options, progress=progress, figures=figures, schedules=records, name=name
        )
        return artefact, (one,)
    stages = [Stages(*watchers(_folder(options, i, count))) for i in range(count)]
    imported: list[Imported] = []
    for i, (model, examples) in enumerate(requests):
        progress(_label("import", i, count))
        found = bring_in(model, examples, impose=options.impose, keep=spilled_if_large, stage=stages[i])
        imported.append(_with_weights_of(imported[0], found, shape=i) if imported else found)
    progress("analyse")
    plans = _plans(imported, target, options, records)
    made: list[Artefact] = []
    for i, (one, plan) in enumerate(zip(imported, plans, strict=True)):
        tell = partial(_tell, progress, number=i, count=count)
        own = finish(
            one, stages[i]("analyse", _same, plan), target, options, progress=tell, name=name, figures=figures,
            records=records, stage=stages[i], lead=made[0].packings if made else {},
        )  # fmt: skip
        made.append(own)
    progress("build")
    return replace(united(made), in_pieces=in_pieces(imported)), tuple(imported)


def _same(plan: Plan) -> Plan:
    """What the stages' watchers are shown."""
    return plan


def _tell(progress: Progress, stage: str, *, number: int, count: int) -> None:
    """Kernels of all shapes are built at once, in the end."""
    if stage != "build":
        progress(_label(stage, number, count))


def _label(stage: str, number: int, count: int) -> str:
    return f"{stage}, shape {number + 1} of {count}"


def _folder(options: Options, number: int, count: int) -> Any:
    return None if options.dump is None else options.dump / f"shape_{number}"


def _plans(imported: Sequence[Imported], target: Target, options: Options, records: Records) -> tuple[Plan, ...]:
    """A plan for each shape, with the same algorithms."""
    choose = partial(records.choose, threads=options.threads or 1)
    known: Structures = {}
    deciders = [algorithms_of(one, target, options, cpu=records.cpu, known=known) for one in imported]
    plans = [decider.plan(choose) for decider in deciders]
    most = max(plan.totals.kept_bytes for plan in plans)
    shares = [_share(decider, plan, most) for decider, plan in zip(deciders, plans, strict=True)]
    return agreed(plans, shares)


def _share(decider: Algorithms, plan: Plan, all_weights: float) -> Callable[[LayerPlan], float]:
    cost = partial(decider.cost, all_weights=all_weights)
    total = sum(map(cost, plan.layers)) or 1.0
    return lambda layer: cost(layer) / total


def _with_weights_of(first: Imported, other: Imported, *, shape: int) -> Imported:
    """The other shape's network with the first one's arrays: memory has them once.

    Raises
    ------
    NotSupportedError
        It is another network.
    """
    _check_alike(first, other, shape)
    known = {layer.key: layer.weight for layer in convolutions(first.layers.values())}
    shared = {
        layer.key: replace(layer, weight=known[layer.key])
        for layer in convolutions(other.layers.values())
        if layer.key in known and np.array_equal(known[layer.key], layer.weight)
    }
    layers = {key: shared.get(key, layer) for key, layer in other.layers.items()}
    return replace(other, layers=layers)


def _check_alike(first: Imported, other: Imported, shape: int) -> None:
    where = f"shapes: with the {shape + 1}. shape the network has"
    for kind, ones, others in (("inputs", first.inputs, other.inputs), ("outputs", first.outputs, other.outputs)):
        told = [[(port.name, port.dtype, len(port.shape)) for port in ports] for ports in (ones, others)]
        if told[0] != told[1]:
            raise NotSupportedError(
                f"{where} {kind} {told[1]} (name, type, dimensions), expected {told[0]} as with the first one; compile "
                "a library for each"
            )
    if first.structure != other.structure or list(first.layers) != list(other.layers):
        raise NotSupportedError(
            f"{where} other layers or another result than with the first one; compile a library for each"
        )


# --- weights and kernels in common -----------------------------------------------------------------------------------


def united(made: Sequence[Artefact]) -> Artefact:
    """The first one with the others beside it: all have the same weights and the same machine code."""
    weights, functions = _Weights(), _Functions()
    programs = [weights.renumbered(functions.renamed(one)) for one in made]
    target = made[0].target
    kernels = compile_object(functions.functions, target.llvm).data
    stored = tuple(weights.arrays)
    places = plan_weights(stored)
    planned = [
        replace(
            one, program=replace(program, weights=stored), memory=MemoryPlan(one.memory.arena, places),
            kernels=kernels, functions=functions.functions,
        )
        for one, program in zip(made, programs, strict=True)
    ]  # fmt: skip
    rows = tuple(shape_row(one.program, one.report, arena_bytes=one.memory.arena.nbytes) for one in planned)
    first, arena = planned[0], max(one.memory.arena.nbytes for one in planned)
    report = replace(first.report, memory_bytes=arena + places.nbytes, shapes=rows)
    described = replace(first.program, description={**first.program.description, "report": report.to_json()})
    return replace(first, program=described, report=report, others=tuple(planned[1:]))


class _Weights:
    """Arrays of all programs, each once."""

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []
        self._known: dict[Any, int] = {}

    def renumbered(self, program: Program) -> Program:
        """A program's steps with the numbers that its arrays have among those of all."""
        numbers = [self._number(array) for array in program.weights]

        def moved(ref: Ref) -> Ref:
            return Ref("weight", numbers[ref.index]) if ref.place == "weight" else ref

        steps = tuple(replace(step, args=tuple(map(moved, step.args))) for step in program.steps)
        return replace(program, steps=steps)

    def _number(self, array: NDArray[Any]) -> int:
        key = identity(array)
        if key not in self._known:
            self._known[key] = len(self.arrays)
            self.arrays.append(array)
        return self._known[key]


class _Functions:
    """Kernels of all programs, each once, by C symbol."""

    def __init__(self) -> None:
        self.functions: dict[str, PrimFunc] = {}
        self._known: dict[str, list[str]] = {}

    def renamed(self, made: Artefact) -> Program:
        """A program's steps with the symbols that its kernels have among those of all."""
        names = {symbol: self._symbol(symbol, function) for symbol, function in made.functions.items()}
        steps = tuple(replace(step, symbol=names[step.symbol]) for step in made.program.steps)
        return replace(made.program, steps=steps)

    def _symbol(self, symbol: str, function: PrimFunc) -> str:
        alike = self._known.setdefault(structural_hash(function), [])
        for known in alike:
            if structurally_equal(self.functions[known], function):
                return known
        while symbol in self.functions:
            symbol += "_"
        self.functions[symbol] = function
        alike.append(symbol)
        return symbol
