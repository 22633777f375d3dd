"""The whole compiler on one screen: one call a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparsecc._codegen import compile_object
from sparsecc._tvm import IRModule, PrimFunc
from sparsecc.analyse.layers import LayerInfo, LayerPlan
from sparsecc.analyse.plan import Plan, make_plan
from sparsecc.analyse.structure import Structure
from sparsecc.build import build_library, plan_arena
from sparsecc.build.spill import forget, spilled_if_large, transformed_on_disk
from sparsecc.cost.decide import predicted_speedup
from sparsecc.cost.winograd import winograd_gain
from sparsecc.dump import Dump
from sparsecc.errors import unforeseen
from sparsecc.facts.channel_order import ChannelOrder
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import Chain, FusedConv, Graph, View
from sparsecc.facts.layer import ConvLayer
from sparsecc.facts.layout import PlaneLayout
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.facts.program import Program
from sparsecc.importer import Imported, import_model
from sparsecc.options import Options
from sparsecc.records.lookup import Schedules
from sparsecc.records.scale import Scale, shipped_scale, slower_than_predicted
from sparsecc.report import Report, make_report, rearrangement_notes
from sparsecc.rewrite.assemble import assemble
from sparsecc.rewrite.chain import join_chains
from sparsecc.rewrite.choice import Choose, by_cost_model
from sparsecc.rewrite.extract import extract_graph
from sparsecc.rewrite.fuse import fuse_epilogues
from sparsecc.rewrite.in_place import in_place
from sparsecc.rewrite.join_choice import is_joined
from sparsecc.rewrite.layout import place
from sparsecc.rewrite.legalize import legalize
from sparsecc.rewrite.lower import lower
from sparsecc.rewrite.lowered import Lowered
from sparsecc.rewrite.permute import listing, permute
from sparsecc.rewrite.winograd import Transform, split_winograd, winograd_origins
from sparsecc.target import Target

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Artefact:
    """A compiled network before it is linked into a library.

    Attributes
    ----------
    program : Program
    kernels : bytes
        Object file.
    target : Target
    report : Report
    origins : mapping of str to str
        Key of a step -> node of the exported program with the same value.
    layouts : tuple of PlaneLayout or None
        Of every step's result.
    orders : mapping of str to ChannelOrder
        Key of a step -> order in which its result stores channels, where it is not the network's.
    functions : mapping of str to PrimFunc
        What the kernels were made from.
    """

    program: Program
    kernels: bytes
    target: Target
    report: Report
    origins: Mapping[str, str]
    layouts: tuple[PlaneLayout | None, ...]
    orders: Mapping[str, ChannelOrder] = field(default_factory=dict)
    functions: Mapping[str, PrimFunc] = field(default_factory=dict)

    @unforeseen("link")
    def link(self, path: Path, *, cc: str | None = None, static: bool = False) -> None:
        """Write the library."""
        build_library(
            self.program, kernels=self.kernels, triple=self.target.triple, cpu_features=self.target.cpu_features,
            out=path, cc=cc, static=static,
        )  # fmt: skip


@unforeseen("analyse")
def analyse(imported: Imported, target: Target, options: Options) -> Plan:
    """Find every layer's structure and decide between sparse and dense."""
    layers = [
        LayerInfo(layer.key, layer.name, layer.spec, layer.weight)
        for layer in imported.layers.values()
        if isinstance(layer, ConvLayer)
    ]

    scale = decision_scale(target, options)

    def gain(spec: ConvSpec) -> tuple[int, float] | None:
        return winograd_gain(spec, target) if options.winograd else None

    def speedup(spec: ConvSpec, structure: Structure) -> float:
        _, faster = gain(spec) or (None, 1.0)
        return predicted_speedup(spec, structure, target) / (faster * slower_than_predicted(scale, spec, structure))

    return make_plan(
        layers, keep_dense=options.keep_dense, min_speedup=options.min_speedup, speedup=speedup, winograd=gain
    )


def run(
    model: Any,
    example_inputs: Sequence[Any] | None,
    target: Target,
    options: Options,
    *,
    progress: Progress,
    figures: str = "",
    schedules: Schedules | None = None,
) -> tuple[Artefact, Imported]:
    """Compile ``model`` up to, not including, the link; ``figures`` tells the report where the target's are from."""
    dump = Dump(options.dump)
    progress("import")
    imported = import_model(model, example_inputs, impose=options.impose)
    dump.module("1_import", imported.module)

    progress("analyse")
    plan = analyse(imported, target, options)
    dump.text("2_plan", str(plan))

    progress("rewrite")
    records, threads = schedules or Schedules(), options.threads or 1
    joined_by: dict[str, str] = {}
    rewritten = rewrite(imported, plan, target, dump, lambda key: records.chooser(joined_by, key, threads=threads))

    progress("schedule")
    chosen_by: dict[str, str] = {}
    with unforeseen("schedule"):
        placed = in_place(rewritten.placed, target)
        lowered = _lower_all(
            placed, rewritten.module, rewritten.plan, target,
            lambda key: records.chooser(chosen_by, key, threads=threads),
        )  # fmt: skip
        assembled = assemble(options.name, placed, lowered, inputs=imported.inputs, outputs=imported.outputs)
    dump.functions("7_kernels", assembled.functions)

    progress("build")
    with unforeseen("build"):
        kernels, assembly = compile_object(assembled.functions, target.llvm)
    dump.text("8_kernels", assembly, suffix=".s")
    notes = (*imported.notes, *records.problems, *rearrangement_notes(plan, rewritten.plan))
    memory = plan_arena(assembled.program).nbytes + sum(array.nbytes for array in assembled.program.weights)
    report = make_report(rewritten.plan, lowered, target.name, notes, figures, chosen_by, joined_by)
    report = replace(report, memory_bytes=memory)
    description = {"target": target.name, "report": report.to_json()}
    program = replace(assembled.program, description=description, structure=imported.structure)
    layouts = tuple(placed.layouts[node.output] for node, _ in lowered)
    made = Artefact(program, kernels, target, report, rewritten.origins, layouts, rewritten.orders, assembled.functions)
    return made, imported


def decision_scale(target: Target, options: Options) -> Scale:
    """What corrects the cost model where sparse is compared with dense: shipped records, unless none are wanted."""
    return Scale(1.0) if options.schedules is None else shipped_scale(target)


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A network whose operators are final and whose tensors have their layouts.

    Attributes
    ----------
    placed : Placed
    module : IRModule
        PrimFuncs of generic operators.
    origins : mapping of str to str
        Key of a node -> node of the exported program with the same value.
    plan : Plan
        With the rows of blocks as they are now.
    orders : mapping of str to ChannelOrder
        Key of a node -> order in which its result stores channels, where it is not the network's.
    """

    placed: Placed
    module: IRModule
    origins: Mapping[str, str]
    plan: Plan
    orders: Mapping[str, ChannelOrder]


@dataclass(frozen=True, eq=False)
class Fused:
    """A network as a plain graph: what does not depend on the plan is done.

    Attributes
    ----------
    graph : Graph
    module : IRModule
        PrimFuncs of generic operators.
    origins : mapping of str to str
        Key of a layer -> node of the exported program with the value that it stores.
    orders : mapping of int to ChannelOrder
        Tensor -> order in which it stores channels, where it is not the network's.
    """

    graph: Graph
    module: IRModule
    origins: Mapping[str, str]
    orders: Mapping[int, ChannelOrder] = field(default_factory=dict)


#: whether a convolution and the window kernel after it, with the convolution's plan, become one kernel
Pays = Callable[[Chain, LayerPlan], bool]
#: who chooses, by the key of the layer
Chooser = Callable[[str], Choose]


@unforeseen("rewrite")
def rewrite(
    imported: Imported, plan: Plan, target: Target, dump: Dump, chooser: Chooser = lambda key: by_cost_model
) -> Rewritten:
    """Fuse, legalize, reorder channels, split, join, and choose layouts; ``chooser`` decides about joining."""
    fused, plan = prepare(imported, plan, dump)
    rewritten = join(fused, plan, target, chooser)
    dump.text("6_layout", _listing(rewritten.placed))
    return rewritten


@unforeseen("rewrite")
def join(fused: Fused, plan: Plan, target: Target, chooser: Chooser) -> Rewritten:
    """Arrange a network whose chains are those that were chosen."""
    return arrange(fused, plan, pays=lambda chain, layer: is_joined(chain, layer, target, chooser(layer.key)))


@unforeseen("rewrite")
def fuse(imported: Imported, dump: Dump) -> Fused:
    """Fuse epilogues, lower what has no kernel of its own, and read the result as a graph."""
    fused = fuse_epilogues(imported.module, imported.layers, imported.origins)
    dump.module("3_fuse", fused.module)
    module = legalize(fused.module)
    dump.module("4_legalize", module)
    return Fused(extract_graph(module, fused.layers, fused.epilogues), module, fused.origins)


@unforeseen("rewrite")
def prepare(imported: Imported, plan: Plan, dump: Dump) -> tuple[Fused, Plan]:
    """Fuse, and make neighbours of the output channels that form rows of blocks."""
    fused = fuse(imported, dump)
    permuted = permute(fused.graph, plan, fused.module)
    dump.text("5_channels", listing(permuted))
    return replace(fused, graph=permuted.graph, orders=permuted.orders), permuted.plan


@unforeseen("rewrite")
def arrange(fused: Fused, plan: Plan, *, pays: Pays, transform: Transform = transformed_on_disk) -> Rewritten:
    """Split layers for Winograd's algorithm, join chains, choose layouts: all as the plan wants it."""
    tiles = {layer.key: layer.tile for layer in plan.layers if layer.tile is not None}
    graph = split_winograd(fused.graph, tiles, transform=transform)
    graph, origins = _join_chains(graph, winograd_origins(fused.origins, tiles), plan, pays)
    orders = {node.key: fused.orders[node.output] for node in graph.nodes if node.output in fused.orders}
    return Rewritten(place(graph), fused.module, origins, plan, orders)


def _join_chains(graph: Graph, origins: Mapping[str, str], plan: Plan, pays: Pays) -> tuple[Graph, dict[str, str]]:
    """Join convolutions with the window kernels after them; a chain's result is that of its window."""
    plans = {layer.key: layer for layer in plan.layers}

    joined = join_chains(graph, lambda key, chain: pays(chain, plans[key]))
    chains = {node.key: node.operator.window_key for node in joined.nodes if isinstance(node.operator, Chain)}
    kept = {key: node for key, node in origins.items() if key not in chains}
    return joined, kept | {key: origins[window] for key, window in chains.items() if window in origins}


def _lower_all(
    placed: Placed, module: IRModule, plan: Plan, target: Target, chooser: Chooser
) -> list[tuple[PlacedNode, Lowered]]:
    plans: Mapping[str, LayerPlan] = {layer.key: layer for layer in plan.layers}

    def lowered(node: PlacedNode) -> Lowered:
        with unforeseen(f"schedule: step {node.key}"):
            made = lower(node, placed, module, plans, target, chooser(node.key))
        if isinstance(node.operator, FusedConv):
            forget(node.operator.layer.weight)
        arguments = tuple(a if isinstance(a, int) else spilled_if_large(a) for a in made.arguments)
        return replace(made, arguments=arguments)

    return [(node, lowered(node)) for node in placed.nodes if not isinstance(node.operator, View)]


def _listing(placed: Placed) -> str:
    lines = []
    for node in placed.nodes:
        name = type(node.operator).__name__
        layout = placed.layouts[node.output]
        where = "contiguous" if layout is None or layout.is_plain else f"pitch {layout.pitch}, halo {layout.halo}"
        lines.append(f"t{node.output} = {name} {node.key}({', '.join(f't{t}' for t in node.inputs)})  # {where}")
    return "\n".join(lines) + "\n"
