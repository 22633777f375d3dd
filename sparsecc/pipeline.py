"""The whole compiler on one screen: a line a stage, from top to bottom.

Who compiles, tunes or advises runs the same middle end: :func:`extract`, then :func:`reorder` where the weights are
those that will be compiled, then :func:`arrange`, once for each way to cut the network into kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparsecc._codegen import compile_object
from sparsecc.analyse.layers import LayerInfo, LayerPlan
from sparsecc.analyse.plan import Plan, make_plan
from sparsecc.analyse.structure import Structure
from sparsecc.artefact import Artefact
from sparsecc.build import plan_arena
from sparsecc.build.spill import spilled_if_large, transformed_on_disk
from sparsecc.cost.decide import predicted_speedup
from sparsecc.cost.winograd import winograd_gain
from sparsecc.errors import unforeseen
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.layer import convolutions
from sparsecc.facts.on_disk import forget
from sparsecc.facts.placed import PlacedNode
from sparsecc.importer import Imported, import_model
from sparsecc.lower.choice import Chooser, by_cost_model
from sparsecc.lower.join import Pays, as_chosen
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.table import lower
from sparsecc.options import Options
from sparsecc.records.lookup import Records
from sparsecc.records.scale import Scale, shipped_scale, slower_than_predicted
from sparsecc.report import make_report, rearrangement_notes
from sparsecc.rewrite.assemble import assemble
from sparsecc.rewrite.chain import chain_origins, join_chains
from sparsecc.rewrite.extract import extract_graph
from sparsecc.rewrite.fuse import fuse_epilogues
from sparsecc.rewrite.in_place import in_place
from sparsecc.rewrite.layout import place
from sparsecc.rewrite.legalize import legalize
from sparsecc.rewrite.permute import permute
from sparsecc.rewrite.rewritten import Extracted, Rewritten
from sparsecc.rewrite.winograd import Transform, split_winograd, winograd_origins
from sparsecc.stages import UNWATCHED, Stages
from sparsecc.target import Target
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
) -> tuple[Artefact, Imported]:
    """Compile ``model`` up to, not including, the link; ``figures`` tells the report where the target's are from."""
    stage = Stages(*watchers(options.dump))
    records, threads = schedules or Records(), options.threads or 1
    joined_by: dict[str, str] = {}
    chosen_by: dict[str, str] = {}

    progress("import")
    impose, keep = options.impose, spilled_if_large
    imported = stage("import", import_model, model, example_inputs, impose=impose, keep=keep)

    progress("analyse")
    plan = stage("analyse", analyse, imported, target, options)

    progress("rewrite")
    made = rewrite(imported, plan, target, lambda key: records.chooser(joined_by, key, threads=threads), stage=stage)

    progress("schedule")
    lowered = stage("lower", lower_all, made, target, lambda key: records.chooser(chosen_by, key, threads=threads))
    ports = imported.inputs, imported.outputs
    assembled = stage("assemble", assemble, options.name, made.placed, lowered, inputs=ports[0], outputs=ports[1])

    progress("build")
    kernels, _ = stage("build", compile_object, assembled.functions, target.llvm)

    notes = (*imported.notes, *records.problems, *rearrangement_notes(plan, made.plan))
    memory = plan_arena(assembled.program).nbytes + sum(array.nbytes for array in assembled.program.weights)
    report = make_report(made.plan, lowered, target.name, notes, figures, chosen_by, joined_by)
    report = replace(report, memory_bytes=memory)
    description = {"target": target.name, "report": report.to_json()}
    program = replace(assembled.program, description=description, structure=imported.structure)
    layouts = tuple(made.placed.layouts[node.output] for node, _ in lowered)
    artefact = Artefact(program, kernels, target, report, made.origins, layouts, made.orders, assembled.functions)
    return artefact, imported


def rewrite(
    imported: Imported,
    plan: Plan,
    target: Target,
    chooser: Chooser = lambda key: by_cost_model,
    *,
    stage: Stages = UNWATCHED,
) -> Rewritten:
    """All of the middle end; ``chooser`` decides about joining."""
    network, plan = reorder(extract(imported, stage=stage), plan, stage=stage)
    return arrange(network, plan, target, pays=as_chosen(chooser, target), stage=stage)


def extract(imported: Imported, *, stage: Stages = UNWATCHED) -> Extracted:
    """What does not depend on the plan."""
    fused = stage("fuse", fuse_epilogues, imported.module, imported.layers, imported.origins)
    module = stage("legalize", legalize, fused.module)
    graph = stage("extract", extract_graph, module, fused.layers, fused.epilogues)
    return Extracted(graph, module, fused.origins)


def reorder(network: Extracted, plan: Plan, *, stage: Stages = UNWATCHED) -> tuple[Extracted, Plan]:
    """Make neighbours of the output channels that form rows of blocks."""
    permuted = stage("reorder", permute, network.graph, plan, network.module)
    return replace(network, graph=permuted.graph, orders=permuted.orders), permuted.plan


def arrange(
    network: Extracted,
    plan: Plan,
    target: Target,
    *,
    pays: Pays,
    transform: Transform = transformed_on_disk,
    stage: Stages = UNWATCHED,
) -> Rewritten:
    """Cut the network into kernels, and say where what they read and write lies: all as the plan wants it."""
    tiles = {layer.key: layer.tile for layer in plan.layers if layer.tile is not None}
    plans = {layer.key: layer for layer in plan.layers}
    graph = stage("split", split_winograd, network.graph, tiles, transform=transform)
    graph = stage("join", join_chains, graph, lambda key, chain: pays(chain, plans[key]))
    placed = stage("layout", place, graph)
    placed = stage("in place", in_place, placed, target)
    origins = chain_origins(winograd_origins(network.origins, tiles), graph)
    orders = {node.key: network.orders[node.output] for node in graph.nodes if node.output in network.orders}
    return Rewritten(placed, network.module, origins, plan, orders)


@unforeseen("analyse")
def analyse(imported: Imported, target: Target, options: Options) -> Plan:
    """Find every layer's structure and decide between sparse and dense."""
    layers = [
        LayerInfo(layer.key, layer.name, layer.spec, layer.weight) for layer in convolutions(imported.layers.values())
    ]

    scale = decision_scale(target, options)

    def gain(spec: ConvSpec, structure: Structure | None) -> tuple[int, float] | None:
        return winograd_gain(spec, structure, target) if options.winograd else None

    def speedup(spec: ConvSpec, structure: Structure) -> float:
        _, dense = gain(spec, None) or (None, 1.0)
        _, sparse = (None if structure.by_tap else gain(spec, structure)) or (None, 1.0)
        slower = slower_than_predicted(scale, spec, structure)
        return predicted_speedup(spec, structure, target) * sparse / (dense * slower)

    return make_plan(
        layers, keep_dense=options.keep_dense, min_speedup=options.min_speedup, speedup=speedup, winograd=gain
    )


def decision_scale(target: Target, options: Options) -> Scale:
    """What corrects the cost model where sparse is compared with dense: shipped records, unless none are wanted."""
    return Scale(1.0) if options.schedules is None else shipped_scale(target)


def lower_all(made: Rewritten, target: Target, chooser: Chooser) -> list[tuple[PlacedNode, Lowered]]:
    """Schedule the kernels of all nodes; views need none."""
    plans: Mapping[str, LayerPlan] = {layer.key: layer for layer in made.plan.layers}

    def lowered(node: PlacedNode) -> Lowered:
        with unforeseen(f"lower: step {node.key}"):
            kernel = lower(node, made.placed, made.module, plans, target, chooser(node.key))
        for weight in node.operator.weights:
            forget(weight)
        arguments = tuple(a if isinstance(a, int) else spilled_if_large(a) for a in kernel.arguments)
        return replace(kernel, arguments=arguments)

    return [(node, lowered(node)) for node in made.placed.nodes if node.operator.kernel]
