"""The whole compiler on one screen: a line a stage, from top to bottom.

Who compiles, tunes, inspects or advises begins with :func:`bring_in` and runs the same middle end: :func:`extract`,
then :func:`reorder` where the weights are those that will be compiled, then :func:`arrange`, once for each way to cut
the network into kernels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sparsecc._codegen import compile_object
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.layers import LayerInfo, LayerPlan
from sparsecc.analyse.plan import Plan, Structures, find_layers
from sparsecc.artefact import Artefact
from sparsecc.build import plan_memory
from sparsecc.build.spill import spilled_if_large, transformed_on_disk
from sparsecc.errors import unforeseen
from sparsecc.importer import Imported, import_model
from sparsecc.importer.borders import AS_THEY_ARE, Borders
from sparsecc.importer.impose import Keep
from sparsecc.ir.layer import convolutions
from sparsecc.ir.on_disk import forget
from sparsecc.ir.placed import PlacedNode
from sparsecc.ir.tensor_type import FLOAT16, FLOAT32, HALF
from sparsecc.lower.choice import Choose, by_cost_model
from sparsecc.lower.follow import following
from sparsecc.lower.join import Decide, as_chosen
from sparsecc.lower.lowered import Lowered, problems_of
from sparsecc.lower.table import at_once, cost, lower
from sparsecc.options import Options
from sparsecc.report import make_report, rearrangement_notes
from sparsecc.rewrite.assemble import assemble
from sparsecc.rewrite.chain import chain_origins, join_chains
from sparsecc.rewrite.extract import extract_graph
from sparsecc.rewrite.fuse import fuse_epilogues
from sparsecc.rewrite.halve import halve_layers
from sparsecc.rewrite.in_place import in_place
from sparsecc.rewrite.layout import place
from sparsecc.rewrite.legalize import legalize
from sparsecc.rewrite.permute import permute
from sparsecc.rewrite.quantize import layers_of_codes, quantize_layers
from sparsecc.rewrite.rewritten import Extracted, Rewritten
from sparsecc.rewrite.shrink import shrink
from sparsecc.rewrite.winograd import Transform, compute_at_once, split_winograd, winograd_origins
from sparsecc.stages import UNWATCHED, Stages
from sparsecc.target import Target
from sparsecc.target.records.lookup import Records
from sparsecc.target.records.scale import Scale, shipped_scale, slower_than_predicted
from sparsecc.watch import watchers

Progress = Callable[[str], None]


def run(
    model: Any,
    example_inputs: Sequence[Any] | None,
    target: Target,
    options: Options,
    *,
    progress: Progress,
    figures: str = "",
    schedules: Records | None = None,
    name: str | None = None,
) -> tuple[Artefact, Imported]:
    """Compile ``model`` up to, not including, the link; ``figures`` tells the report where the target's are from.

    ``name`` is what to call the network, where the model does not say it.
    """
    stage = Stages(*watchers(options.dump))
    records = schedules or Records()
    choose = partial(records.choose, threads=options.threads or 1)

    progress("import")
    impose, keep = options.impose, spilled_if_large
    borders = Borders(options.layout, options.ports)
    imported = bring_in(model, example_inputs, impose=impose, keep=keep, borders=borders, stage=stage)

    progress("analyse")
    plan = stage("analyse", analyse, imported, target, options, choose=choose, cpu=records.cpu)

    made = finish(
        imported, plan, target, options, progress=progress, name=network_name(model) if name is None else name,
        figures=figures, records=records, stage=stage,
    )  # fmt: skip
    return made, imported


def finish(
    imported: Imported,
    plan: Plan,
    target: Target,
    options: Options,
    *,
    progress: Progress,
    name: str,
    figures: str,
    records: Records,
    stage: Stages,
    lead: Mapping[str, Hashable] | None = None,
) -> Artefact:
    """All that follows the plan; with ``lead``, a program that shares its kernels and weights with others.

    Such a one has no machine code yet, and its weights lie as ``lead`` says: key of a node -> packing of its config.
    """
    choose = partial(records.choose, threads=options.threads or 1)
    progress("rewrite")
    made = rewrite(imported, plan, target, choose, dtype=options.dtype, stage=stage)

    progress("schedule")
    target = target_of(made, target)
    lowered = stage("lower", lower_all, made, target, choose, lead or {})
    ports = imported.inputs, imported.outputs
    assembled = stage("assemble", assemble, options.name, made.placed, lowered, inputs=ports[0], outputs=ports[1])

    progress("build")
    kernels = b"" if lead is not None else stage("build", compile_object, assembled.functions, target.llvm).data
    memory = stage("memory", plan_memory, assembled.program)

    unused = problems_of([kernel for _, kernel in lowered], made.joins)
    notes = (*imported.notes, *made.notes, *records.problems, *unused, *rearrangement_notes(plan, made.plan))
    report = make_report(
        made.plan, lowered, target.name, notes, figures, made.joins, memory_bytes=memory.nbytes,
        macs_per_cycle=target.lanes * target.fma_per_cycle, ghz=target.ghz, types=made.types,
    )  # fmt: skip
    description = {"target": target.name, "network": name, "report": report.to_json()}
    if options.dtype != FLOAT32.dtype:
        description["dtype"] = options.dtype
    if options.meta:
        description["meta"] = options.meta
    program = replace(assembled.program, description=description, structure=imported.structure)
    layouts = tuple(made.placed.layouts[node.output] for node, _ in lowered)
    names, orders = made.origins, made.orders
    types = tuple(made.placed.type_of(node.output) for node, _ in lowered)
    packings = {node.key: kernel.packing for node, kernel in lowered}
    artefact = Artefact(
        program, memory, kernels, target, report, names, layouts, orders, assembled.functions, types, packings=packings
    )
    return replace(artefact, placed=made.placed, module=made.module) if made.placed.types else artefact


def target_of(made: Rewritten, target: Target) -> Target:
    """The target that a network is lowered for: one of codes, or of half precision, has instructions of its own."""
    target = target.for_codes() if made.placed.computes_codes else target
    return target.for_half_code() if made.placed.is_half else target


def network_name(model: Any) -> str:
    """What to call a network: the class of a module, the name of a file; nothing if it has none."""
    if isinstance(model, str | os.PathLike):
        return Path(os.fsdecode(model)).stem
    return "" if hasattr(model, "graph_module") or hasattr(model, "graph") else type(model).__name__


def bring_in(
    model: Any,
    example_inputs: Sequence[Any] | None = None,
    *,
    impose: Impose | None = None,
    keep: Keep = lambda weight: weight,
    borders: Borders = AS_THEY_ARE,
    stage: Stages = UNWATCHED,
) -> Imported:
    """Import a model, without the channels that nobody needs; parameters are those of the importer."""
    imported = stage("import", import_model, model, example_inputs, impose=impose, keep=keep, borders=borders)
    return stage("shrink", shrink, imported)


def rewrite(
    imported: Imported,
    plan: Plan,
    target: Target,
    choose: Choose = by_cost_model,
    *,
    dtype: str = FLOAT32.dtype,
    stage: Stages = UNWATCHED,
) -> Rewritten:
    """All of the middle end; ``choose`` decides about joining, ``dtype`` is that of layers that may have another."""
    network = extract(imported, dtype=dtype, stage=stage)
    network, plan = reorder(network, _typed(plan, network), stage=stage)
    return arrange(network, plan, target, decide=as_chosen(choose, target), stage=stage)


def _typed(plan: Plan, network: Extracted) -> Plan:
    """The plan with the types that layers have got."""
    halved = {node.key for node in network.graph.nodes if node.operator.types[:1] == (FLOAT16,)}
    if not halved:
        return plan
    return Plan(tuple(replace(layer, dtype=HALF) if layer.key in halved else layer for layer in plan.layers))


def extract(imported: Imported, *, dtype: str = FLOAT32.dtype, stage: Stages = UNWATCHED) -> Extracted:
    """What does not depend on the plan."""
    fused = stage("fuse", fuse_epilogues, imported.module, imported.layers, imported.origins)
    fused = quantize_layers(fused)
    fused = fused if dtype == FLOAT32.dtype else halve_layers(fused)
    module = stage("legalize", legalize, fused.module)
    graph = stage("extract", extract_graph, module, fused.layers, fused.epilogues)
    return Extracted(graph, module, fused.origins, notes=fused.notes)


def reorder(network: Extracted, plan: Plan, *, stage: Stages = UNWATCHED) -> tuple[Extracted, Plan]:
    """Make neighbours of the output channels that form rows of blocks."""
    permuted = stage("reorder", permute, network.graph, plan, network.module)
    return replace(network, graph=permuted.graph, orders=permuted.orders), permuted.plan


def arrange(
    network: Extracted,
    plan: Plan,
    target: Target,
    *,
    decide: Decide,
    transform: Transform = transformed_on_disk,
    stage: Stages = UNWATCHED,
) -> Rewritten:
    """Cut the network into kernels, and say where what they read and write lies: all as the plan wants it."""
    tiles = {layer.key: layer.tile for layer in plan.layers if layer.tile is not None and not layer.at_once}
    at_once = {layer.key for layer in plan.layers if layer.at_once}
    plans = {layer.key: layer for layer in plan.layers}
    sparse = {layer.key for layer in plan.layers if layer.kept is not None}
    graph = compute_at_once(network.graph, at_once)
    graph = stage("split", split_winograd, graph, tiles, sparse=sparse, transform=transform)
    joined = stage("join", join_chains, graph, lambda key, chain: decide(chain, plans[key]))
    graph = joined.graph
    placed = stage("layout", place, graph)
    placed = stage("in place", in_place, placed, target)
    origins = chain_origins(winograd_origins(network.origins, tiles), graph)
    orders = {node.key: network.orders[node.output] for node in graph.nodes if node.output in network.orders}
    return Rewritten(placed, network.module, origins, plan, orders, joined.decided, network.notes)


@unforeseen("analyse")
def analyse(
    imported: Imported, target: Target, options: Options, *, choose: Choose = by_cost_model, cpu: str | None = None
) -> Plan:
    """Find every layer's structure and decide about its algorithm, on one processor where ``cpu`` names it."""
    plan = algorithms_of(imported, target, options, cpu=cpu).plan(choose)
    return plan.with_codes(layers_of_codes(imported.module, imported.layers, imported.origins))


def algorithms_of(
    imported: Imported,
    target: Target,
    options: Options,
    *,
    cpu: str | None = None,
    known: Structures | None = None,
) -> Algorithms:
    """Who decides about the algorithms of a network's layers; ``known`` is as :func:`find_layers` has it."""
    if options.dtype == HALF:
        target, options = target.for_half(), replace(options, winograd=False)
    layers = find_layers(
        [
            LayerInfo(layer.key, layer.name, layer.spec, layer.weight, layer.removed, layer.scales is not None)
            for layer in convolutions(imported.layers.values())
        ],
        known=known,
    )
    slower = partial(slower_than_predicted, decision_scale(target, options, cpu=cpu))
    return Algorithms(layers, target, options, slower=slower)


def decision_scale(target: Target, options: Options, *, cpu: str | None = None) -> Scale:
    """What corrects the cost model where sparse is compared with dense: shipped records, unless none are wanted.

    On one processor, records of others say nothing.
    """
    return Scale(1.0) if options.schedules is None else shipped_scale(target, cpu=cpu)


def lower_all(
    made: Rewritten, target: Target, choose: Choose, lead: Mapping[str, Hashable] = MappingProxyType({})
) -> list[tuple[PlacedNode, Lowered]]:
    """Schedule the kernels of all nodes; views need none. Those that ``lead`` has follow the packing there."""
    plans: Mapping[str, LayerPlan] = {layer.key: layer for layer in made.plan.layers}

    def lowered(node: PlacedNode) -> Lowered:
        # records are of float32
        known = by_cost_model if made.placed.type_of(node.output).dtype == HALF else choose
        with unforeseen(f"lower: step {node.key}"):
            own = following(known, lead.get(node.key))
            kernel = lower(node, made.placed, made.module, plans, target, own)
        for weight in node.operator.weights:
            forget(weight)
        arguments = tuple(a if isinstance(a, int) else spilled_if_large(a) for a in kernel.arguments)
        expected = kernel.cycles or cost(node, made.placed, made.module, plans, target, at_once).cycles
        return replace(kernel, arguments=arguments, choice=None, expected=expected)

    return [(node, lowered(node)) for node in made.placed.nodes if node.operator.kernel]
