"""What must hold of a placed graph besides: layouts have room for what is read, and kernels in place nobody disturbs.

Each function yields what is wrong, in words; nothing where the graph is sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout, scratch_width, split_height, split_width
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.kernels.window_shape import UNROLLED_TAPS
from sparsecc.rewrite.layout import may_repitch, walked


def layout_problems(placed: Placed) -> Iterator[str]:
    """All of a placed graph whose tensors are numbered right."""
    if len(placed.layouts) != len(placed.shapes):
        yield f"found {len(placed.layouts)} layouts, expected one for each of {len(placed.shapes)} tensors"
        return
    used = {tensor for node in placed.nodes for tensor in (*node.inputs, node.output)}
    for tensor in sorted(used):
        yield from (f"t{tensor}: {problem}" for problem in _layout(placed.shapes[tensor], placed.layouts[tensor]))
    for tensor in (*placed.inputs, *placed.outputs):
        if not _is_plain(placed.layouts[tensor]):
            yield f"t{tensor}: is the caller's, and not contiguous"
    for node in placed.nodes:
        yield from (f"{node.key}: {problem}" for problem in _node(node, placed))
    yield from _in_place(placed)


def _layout(shape: tuple[int, ...], layout: PlaneLayout | None) -> Iterator[str]:
    """Images have layouts of their size, with room for rows, halo and the zone between planes."""
    if layout is None or len(shape) != 4:
        if layout is not None or len(shape) == 4:
            yield f"found {'no' if layout is None else 'a'} layout for {len(shape)} axes, expected one for each image"
        return
    if (layout.h, layout.w) != shape[2:]:
        yield f"found a layout for {layout.h}x{layout.w} pixels, expected {shape[2]}x{shape[3]}"
    if layout.is_split or layout.deal > 1:
        return
    top, left, bottom, right = layout.halo
    above, end = top * layout.pitch + left, (layout.h - 1) * layout.pitch + layout.w
    room = max(above, bottom * layout.pitch + right)
    if layout.pitch < layout.w + max(left, right) or layout.plane < end + room:
        yield f"found planes of {layout.plane} floats, rows of {layout.pitch}, too few for the halo {layout.halo}"
    if layout.lead < above or layout.tail < bottom * layout.pitch + right:
        yield f"found {layout.lead} floats before and {layout.tail} after, too few for the halo {layout.halo}"


def _node(node: PlacedNode, placed: Placed) -> Iterator[str]:
    """What a node reads and writes lies as its kernel expects."""
    spec, operator = walked(node, placed.types), node.operator
    if node.packs and not (operator.is_window or operator.follower):
        yield "copies planes into scratch memory, which only windows do"
    if spec is not None:
        yield from _flat(node, spec, placed)
        return
    for tensor in node.inputs:
        if _in_phases(placed.layouts[tensor]):
            yield f"reads t{tensor}, which lies in phases, as only strided kernels do"
    if not operator.is_copy and _in_phases(placed.layouts[node.output]):
        yield f"writes t{node.output} in phases, which only copies do"
    for tensor in _lists(node):
        if not _is_plain(placed.layouts[tensor]):
            yield f"t{tensor} is a list of numbers to it, and not contiguous"


def _lists(node: PlacedNode) -> tuple[int, ...]:
    """Tensors that are lists of numbers to a node: a view's, a linear layer's, a norm's of those, a mean's result."""
    kernel = node.operator.kernel
    if kernel in ("", "linear", "qlinear") or (kernel == "norm" and not node.operator.reads_rows):
        return (*node.inputs, node.output)
    return (node.output,) if kernel == "mean" else ()


def _flat(node: PlacedNode, spec: ConvSpec, placed: Placed) -> Iterator[str]:
    """A kernel that walks planes: its halo is there, strides have phases, and pitches are equal where they must be."""
    source, output = placed.layouts[node.inputs[0]], placed.layouts[node.output]
    if source is None or output is None:
        yield "walks planes, and its tensors are no images"
        return
    if _in_phases(output):
        yield f"writes t{node.output} in phases, which only copies do"
    if node.packs and not node.operator.follower:
        if _in_phases(source):
            yield f"packs t{node.inputs[0]}, which lies in phases already"
    elif spec.stride == (1, 1):
        yield from _rows(node, spec, source)
    elif source.step != spec.stride or source.halo != spec.padding or not _has_phases(source, spec):
        yield f"reads t{node.inputs[0]} with stride {spec.stride}, and not in its phases"
    yield from _pitches(node, spec, placed, source, output)


def _rows(node: PlacedNode, spec: ConvSpec, source: PlaneLayout) -> Iterator[str]:
    tensor = node.inputs[0]
    if _in_phases(source):
        yield f"reads t{tensor} in rows, and it lies in phases"
    if any(has < needs for has, needs in zip(source.halo, spec.padding, strict=True)):
        yield f"reads t{tensor} with padding {spec.padding}, found a halo of {source.halo}"
    if node.operator.fill != 0 and any(spec.padding):
        yield f"takes the maximum of t{tensor} and zeros of its halo"


def _pitches(
    node: PlacedNode, spec: ConvSpec, placed: Placed, source: PlaneLayout, output: PlaneLayout
) -> Iterator[str]:
    linked = [placed.layouts[tensor] for tensor in node.inputs[1:]]
    if not (node.packs or node.operator.follower or may_repitch(node, spec)):
        linked.append(source)
    room = _room(node, spec)
    if source.pitch < room.get("reads", 0) or output.pitch < room.get("writes", 0):
        yield f"reads rows of {source.pitch} floats and writes {output.pitch}, expected room for {room}"
    if any(layout is None or layout.pitch != output.pitch for layout in linked):
        pitches = [None if layout is None else layout.pitch for layout in linked]
        yield f"reads rows of {', '.join(map(str, pitches))} floats, expected {output.pitch} as in what it writes"


def _room(node: PlacedNode, spec: ConvSpec) -> dict[str, int]:
    """Floats that rows need for what is neither read nor written: planes between both kernels, and packed ones."""
    window = node.operator.follower or spec
    if node.packs:
        return {"writes": scratch_width(window)} if window.taps > UNROLLED_TAPS else {}
    if not node.operator.follower:
        return {}
    return {"reads": window.iw + max(window.padding[1], window.padding[3])}


def _in_place(placed: Placed) -> Iterator[str]:
    """Nobody needs what a kernel writes over any more, and both tensors' planes are in the same places."""
    floats = {tensor: tensor for tensor in range(len(placed.shapes))}
    for node in placed.nodes:
        if not node.operator.kernel:  # a view
            floats[node.output] = floats[node.inputs[0]]
    for i, node in enumerate(placed.nodes):
        if node.in_place:
            same = {tensor for tensor, first in floats.items() if first == floats[node.inputs[0]]}
            yield from (f"{node.key}: {problem}" for problem in _writes_over(same, placed.nodes[i + 1 :], node, placed))


def _writes_over(same: set[int], later: Sequence[PlacedNode], node: PlacedNode, placed: Placed) -> Iterator[str]:
    for other in later:
        for tensor in same.intersection(other.inputs):
            yield f"writes over t{node.inputs[0]}, and {other.key} reads t{tensor} later"
    for tensor in (same | {node.output}).intersection((*placed.inputs, *placed.outputs)):
        yield f"writes over t{node.inputs[0]}, and t{tensor} is the caller's"
    yield from _same_planes(node, placed)


def _same_planes(node: PlacedNode, placed: Placed) -> Iterator[str]:
    source, output = placed.layouts[node.inputs[0]], placed.layouts[node.output]
    if not node.operator.fits_in_place or len(node.inputs) > 1:
        yield "works in place, which only depthwise convolutions do"
    elif source is None or output is None or _places(source) != _places(output) or any(output.halo):
        yield "works in place, and its result's planes are not where its input's are"


def _places(layout: PlaneLayout) -> tuple[int, int, int]:
    return layout.channel, layout.lead, layout.tail


def _is_plain(layout: PlaneLayout | None) -> bool:
    return layout is None or layout.is_plain


def _in_phases(layout: PlaneLayout | None) -> bool:
    return layout is not None and (layout.is_split or layout.deal > 1)


def _has_phases(source: PlaneLayout, spec: ConvSpec) -> bool:
    """Whether every tap finds its pixels in a phase."""
    rows = {r * spec.dilation[0] % spec.stride[0] for r in range(spec.kh)}
    cols = {s * spec.dilation[1] % spec.stride[1] for s in range(spec.kw)}
    is_there = {(row, col) for row in rows for col in cols} <= set(source.phases)
    return is_there and source.pitch >= split_width(spec) and source.plane >= split_height(spec) * source.pitch
