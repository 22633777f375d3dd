"""Choose where every activation's pixels lie, and insert the copies that can't be avoided.

Kernels that read and write *flat* runs of pixels (direct and window kernels) need input, residual and output to have
one pitch. Tensors linked by such kernels form a class; its pitch is the least that has room for every member's halo.
Convolutions of small images may write with another pitch than they read, and windows that walk rows may always: they
link nothing but a residual and the output.
Strided kernels read a phase layout, made by a copy. Tensors that the caller owns, and those that are reshaped, are
contiguous; where a flat kernel meets one, a copy is planned and dropped again if the layouts turn out to be equal.

Window kernels work plane by plane: what they can't read in place they copy into scratch memory, one plane at a time, so
that the copy never leaves the cache; only their output takes part in a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import Graph, Node
from sparsecc.ir.layout import (
    PlaneLayout,
    apart,
    compact,
    padded,
    plain,
    scratch_width,
    split,
    split_height,
    split_width,
)
from sparsecc.ir.placed import Placed, PlacedNode, Repack
from sparsecc.ir.tensor_type import FLOAT32, HALF, TensorType, Types
from sparsecc.kernels.int8.shape import OVERREAD
from sparsecc.kernels.window_shape import UNROLLED_TAPS
from sparsecc.rewrite.unionfind import UnionFind

Halo = tuple[int, int, int, int]
#: wider images have gaps that matter less than a copy of the results
_WIDEST_STAGED = 16
_NO_HALO: Halo = (0, 0, 0, 0)


def place(graph: Graph) -> Placed:
    """Choose layouts.

    Before::

        y = conv3x3(x)                  # x: graph input
        z = conv3x3_stride2(y)

    After::

        x1 = repack(x)                  # halo of 1
        y  = conv3x3(x1)                # written with the pitch of x1
        y1 = repack(y)                  # four phases
        z  = conv3x3_stride2(y1)
    """
    plan = _Plan(graph)
    for node in graph.nodes:
        plan.add(node)
    return plan.finish()


@dataclass
class _Plan:
    graph: Graph
    shapes: list[tuple[int, ...]] = field(init=False)
    types: dict[int, TensorType] = field(init=False)
    nodes: list[PlacedNode] = field(default_factory=list)
    classes: UnionFind = field(default_factory=UnionFind)
    halos: dict[int, Halo] = field(default_factory=dict)
    splits: dict[int, ConvSpec] = field(default_factory=dict)
    rooms: dict[int, int] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    copies: dict[tuple[object, ...], int] = field(default_factory=dict)
    callers: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shapes, self.types = list(self.graph.shapes), dict(self.graph.types)
        self.fixed = _contiguous(self.graph)
        self.callers.update(self.graph.inputs)
        for node in self.graph.nodes:
            if not node.operator.kernel and node.inputs[0] in self.callers:
                self.callers.add(node.output)
        for node in self.graph.nodes:
            sides = zip((*node.inputs[:1], node.output), node.operator.runs, strict=False)
            self.runs.update((tensor, run) for tensor, run in sides if run)
        for node in self.graph.nodes:
            spec = walked(node, self.types)
            if spec is not None and self._reads_in_place(node, spec):
                tensor = node.inputs[0]
                self.halos[tensor] = _join(self.halos.get(tensor, _NO_HALO), spec.padding)

    def add(self, node: Node) -> None:
        """Append a node, with the copies before and after it."""
        spec, window = walked(node, self.types), node.operator.follower
        if spec is None:
            # who computes with codes reads whole vectors, beyond the last pixel too, where a caller's memory may end
            inputs = tuple(self._own(t) for t in node.inputs) if node.operator.types else node.inputs
            self.nodes.append(PlacedNode(node.key, node.operator, inputs, node.output))
            return
        if window is not None:
            self._add_chain(node, spec, window)
            return
        packs = node.operator.is_window and not self._reads_in_place(node, spec)
        source = node.inputs[0] if packs else self._source(node, spec)
        residual = [self._flexible(tensor) for tensor in node.inputs[1:]]
        output = self._like(node.output) if node.output in self.fixed else node.output
        linked = () if packs or may_repitch(node, spec) else (source,)
        for tensor in (*linked, *residual):
            self.classes.union(tensor, output)
        if packs and spec.taps > UNROLLED_TAPS:
            self.rooms[output] = scratch_width(spec)
        self.nodes.append(PlacedNode(node.key, node.operator, (source, *residual), output, packs))
        self._unpack(node, output)

    def _add_chain(self, node: Node, spec: ConvSpec, window: ConvSpec) -> None:
        """The planes between both kernels have the pitch of the input, which has room for their halo."""
        source = self._source(node, spec)
        output = self._like(node.output) if node.output in self.fixed else node.output
        is_dealt = window.stride == (2, 2) and window.taps <= UNROLLED_TAPS
        packs = window.stride != (1, 1) and not is_dealt
        if packs and window.taps > UNROLLED_TAPS:
            self.rooms[output] = scratch_width(window)
        elif not packs:
            _, left, _, right = window.padding
            self.rooms[source] = max(self.rooms.get(source, 0), window.iw + max(left, right))
        if window.stride == (1, 1) and window.taps > UNROLLED_TAPS:
            self.classes.union(source, output)
        self.nodes.append(PlacedNode(node.key, node.operator, (source,), output, packs))
        self._unpack(node, output)

    def _unpack(self, node: Node, output: int) -> None:
        if output != node.output:
            rows = self.shapes[output][2]
            self.nodes.append(PlacedNode(f"unpack_{node.key}", Repack(rows), (output,), node.output))

    def finish(self) -> Placed:
        """Fix the pitches and drop copies between equal layouts."""
        pitches = self._pitches()
        layouts = tuple(self._with_tail(tensor, self._layout(tensor, pitches)) for tensor in range(len(self.shapes)))
        nodes = _without_idle_copies(self.nodes, layouts, outputs=self.graph.outputs)
        graph = self.graph
        return Placed(tuple(self.shapes), layouts, nodes, graph.inputs, graph.outputs, self.types)

    def _pitches(self) -> dict[int, int]:
        """Class -> the least pitch that has room for all its members."""
        pitches: dict[int, int] = {}
        for tensor, shape in enumerate(self.shapes):
            if len(shape) == 4 and tensor not in self.fixed:
                group = self.classes.find(tensor)
                pitches[group] = max(pitches.get(group, 0), self._least_pitch(tensor))
        return pitches

    def _reads_in_place(self, node: Node, spec: ConvSpec) -> bool:
        """True when the kernel can read its input as its producer writes it."""
        fills = node.operator.fill != 0 and spec.padding != _NO_HALO
        needs_halo = spec.padding != _NO_HALO and node.inputs[0] in self.fixed
        return spec.stride == (1, 1) and not fills and not needs_halo

    def _source(self, node: Node, spec: ConvSpec) -> int:
        tensor = node.inputs[0]
        if self._reads_in_place(node, spec):
            return self._flexible(tensor)
        key = (tensor, spec.kh, spec.kw, spec.stride, spec.padding, spec.dilation)
        if key not in self.copies:
            copy = self.copies[key] = self._like(tensor)
            rows = spec.ih
            if spec.stride == (1, 1):
                self.halos[copy] = spec.padding
            else:
                self.splits[copy], rows = spec, split_height(spec)
            self.nodes.append(PlacedNode(f"pack_{node.key}", Repack(rows), (tensor,), copy))
        return self.copies[key]

    def _own(self, tensor: int) -> int:
        """The tensor itself, or a copy of an image that is the caller's, or a view of one."""
        return self._flexible(tensor) if tensor in self.callers and len(self.shapes[tensor]) == 4 else tensor

    def _flexible(self, tensor: int) -> int:
        """The tensor itself, or a copy of a contiguous one that may get another pitch."""
        if tensor not in self.fixed:
            return tensor
        key = (tensor, "flexible")
        if key not in self.copies:
            copy = self.copies[key] = self._like(tensor)
            self.nodes.append(PlacedNode(f"pack_{copy}", Repack(self.shapes[tensor][2]), (tensor,), copy))
        return self.copies[key]

    def _like(self, tensor: int) -> int:
        """A new tensor with another's elements, elsewhere."""
        self.shapes.append(self.shapes[tensor])
        if tensor in self.types:
            self.types[len(self.shapes) - 1] = self.types[tensor]
        return len(self.shapes) - 1

    def _least_pitch(self, tensor: int) -> int:
        room = self.rooms.get(tensor, 0)
        if tensor in self.splits:
            return max(room, split_width(self.splits[tensor]))
        _, left, _, right = self.halos.get(tensor, _NO_HALO)
        return max(room, self.shapes[tensor][3] + max(left, right))

    def _with_tail(self, tensor: int, layout: PlaneLayout | None) -> PlaneLayout | None:
        """Room after the pixels of codes, where kernels read whole vectors; the caller's tensors have none."""
        owned = tensor in self.graph.inputs or tensor in self.graph.outputs
        if layout is None or owned or tensor not in self.types or self.types[tensor].nbytes > 1:
            return layout
        return replace(layout, tail=layout.tail + OVERREAD)

    def _layout(self, tensor: int, pitches: dict[int, int]) -> PlaneLayout | None:
        shape = self.shapes[tensor]
        if len(shape) != 4:
            return None
        if tensor in self.fixed:
            return plain(shape[2], shape[3])
        pitch = pitches[self.classes.find(tensor)]
        if tensor in self.splits:
            return split(self.splits[tensor], pitch=pitch)
        halo = self.halos.get(tensor, _NO_HALO)
        # a copy between a tensor of the graph and a contiguous one may turn out to be idle: see _without_idle_copies
        is_copy = tensor >= len(self.graph.shapes)
        if pitch == shape[3] and halo == _NO_HALO and not is_copy:
            layout = compact(shape[2], shape[3])
            return apart(layout, run=self.runs[tensor]) if tensor in self.runs else layout
        return padded(shape[2], shape[3], halo=halo, pitch=pitch)


def walked(node: Node | PlacedNode, types: Types) -> ConvSpec | None:
    """The layer as which a node walks flat planes.

    None for one that reads codes: its kernel puts their pixels side by side, with padding, wherever they lie.
    """
    codes = node.inputs and types.get(node.inputs[0], FLOAT32).dtype not in (FLOAT32.dtype, HALF)
    return None if codes else node.operator.planes


def may_repitch(node: Node | PlacedNode, spec: ConvSpec) -> bool:
    """Whether the kernel may write rows with another pitch than it reads them."""
    if node.operator.is_window:
        return spec.taps <= UNROLLED_TAPS
    return spec.ow <= _WIDEST_STAGED


def _contiguous(graph: Graph) -> frozenset[int]:
    """Images that must be contiguous: the caller's, and what is read or written as a list of numbers."""
    fixed = {*graph.inputs, *graph.outputs}
    for node in graph.nodes:
        if node.operator.planes is not None:  # of codes, too, it reads and writes rows
            continue
        if not node.operator.reads_rows:
            fixed.update(node.inputs)
        if not node.operator.writes_rows:
            fixed.add(node.output)
    return frozenset(fixed)


def _without_idle_copies(
    nodes: Sequence[PlacedNode], layouts: Sequence[PlaneLayout | None], *, outputs: Sequence[int]
) -> tuple[PlacedNode, ...]:
    """Leave out copies that change nothing; of the two tensors, one that the caller owns is kept."""
    kept: list[PlacedNode] = []
    same: dict[int, int] = {}
    for original in nodes:
        node = replace(original, inputs=tuple(same.get(t, t) for t in original.inputs))
        source = node.inputs[0] if node.operator.is_copy else None
        if source is None or layouts[source] != layouts[node.output]:
            kept.append(node)
        elif node.output in outputs:
            kept = [_redirect(n, source, node.output) for n in kept]
            same[source] = node.output
        else:
            same[node.output] = source
    return tuple(kept)


def _join(a: Halo, b: Halo) -> Halo:
    return (max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _redirect(node: PlacedNode, old: int, new: int) -> PlacedNode:
    """Let a node write and read ``new`` in the place of ``old``."""
    inputs = tuple(new if t == old else t for t in node.inputs)
    return replace(node, inputs=inputs, output=new if node.output == old else node.output)
