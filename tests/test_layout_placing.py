"""Where the tensors of a graph lie, and which copies are planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from layout_case import NO_HALO, ONE, Halo

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node, Operator, TirOp, View
from sparsecc.ir.layer import ConvLayer, MeanLayer, PoolLayer
from sparsecc.ir.layout import plain
from sparsecc.ir.placed import Placed, Repack
from sparsecc.rewrite.layout import place


def conv(key: str, spec: ConvSpec) -> FusedConv:
    weight, bias = np.zeros(spec.weight_shape, np.float32), np.zeros(spec.oc, np.float32)
    return FusedConv(ConvLayer(key, key, spec, weight, bias), Epilogue())


def square(size: int, kernel: int, *, padding: Halo = NO_HALO, stride: int = 1, groups: int = 1) -> ConvSpec:
    return ConvSpec(1, 8, size, size, 8, kernel, kernel, (stride, stride), padding, groups=groups)


def chain(*operators: tuple[str, Operator, tuple[int, ...]], first: tuple[int, ...] = (1, 8, 10, 10)) -> Graph:
    """A graph with one input, tensor 0, and one result a node; inputs are numbers of earlier tensors."""
    shapes = [first]
    for _, operator, sources in operators:
        if isinstance(operator, (FusedConv, PoolLayer)):
            spec = operator.layer.spec if isinstance(operator, FusedConv) else operator.spec
            shapes.append((spec.n, spec.oc, spec.oh, spec.ow))
        elif isinstance(operator, MeanLayer):
            shapes.append((operator.n, operator.c, 1, 1))
        else:
            n, c, h, w = shapes[sources[0]]
            shapes.append((n, c * h * w) if isinstance(operator, View) else (n, c, h, w))
    nodes = tuple(Node(key, operator, sources, i + 1) for i, (key, operator, sources) in enumerate(operators))
    return Graph(tuple(shapes), nodes, (0,), (len(shapes) - 1,))


def keys(placed: Placed) -> list[str]:
    return [node.key for node in placed.nodes]


#: images so wide that a convolution's input and output share a pitch
WIDE = 20
IMAGE = (1, 8, WIDE, WIDE)
ELEMENTWISE = TirOp("relu", (None,))


def test_a_pointwise_network_has_no_copies() -> None:
    placed = place(chain(("a", conv("a", square(10, 1)), (0,)), ("b", conv("b", square(10, 1)), (1,))))
    assert keys(placed) == ["a", "b"]
    assert all(layout == plain(10, 10) for layout in placed.layouts)


def test_padding_of_an_input_is_packed_and_the_result_unpacked() -> None:
    placed = place(chain(("a", conv("a", square(WIDE, 3, padding=ONE)), (0,)), first=IMAGE))
    assert keys(placed) == ["pack_a", "a", "unpack_a"]
    packed = placed.layouts[placed.nodes[0].output]
    assert packed is not None
    assert (packed.pitch, packed.halo) == (WIDE + 1, ONE)
    assert placed.layouts[placed.outputs[0]] == plain(WIDE, WIDE)


def test_a_result_is_written_with_the_halo_of_its_reader() -> None:
    layers = [(k, conv(k, square(WIDE, 3, padding=ONE)), (i,)) for i, k in enumerate("abc")]
    placed = place(chain(*layers, first=IMAGE))
    assert keys(placed) == ["pack_a", "a", "b", "c", "unpack_c"]
    between = [placed.layouts[node.output] for node in placed.nodes[1:3]]
    assert [layout and (layout.pitch, layout.halo) for layout in between] == [(WIDE + 1, ONE)] * 2


def test_the_widest_halo_wins_and_sets_the_pitch_of_all() -> None:
    wide: Halo = (2, 2, 2, 2)
    placed = place(
        chain(
            ("a", conv("a", square(WIDE, 1)), (0,)),
            ("b", conv("b", square(WIDE, 3, padding=(1, 0, 1, 3))), (1,)),
            ("c", conv("c", square(WIDE, 5, padding=wide)), (1,)),
            ("d", ELEMENTWISE, (2,)),
            first=IMAGE,
        )
    )
    layout = placed.layouts[1]
    assert layout is not None
    assert layout.halo == (2, 2, 2, 3)
    pitches = {placed.layouts[node.output].pitch for node in placed.nodes if node.key in "abc"}
    assert pitches == {WIDE + 3}


def test_strided_convolutions_read_phases() -> None:
    size = 2 * WIDE
    spec = square(size, 3, padding=ONE, stride=2)
    placed = place(
        chain(
            ("a", conv("a", square(size, 1)), (0,)),
            ("b", conv("b", spec), (1,)),
            ("c", ELEMENTWISE, (2,)),
            first=(1, 8, size, size),
        )
    )
    pack = next(node for node in placed.nodes if node.key == "pack_b")
    layout = placed.layouts[pack.output]
    assert layout is not None
    assert (layout.step, len(layout.phases), layout.halo) == ((2, 2), 4, ONE)
    assert layout.pitch == placed.layouts[2].pitch


def test_equal_copies_are_made_once() -> None:
    spec = square(10, 3, padding=ONE, stride=2)
    placed = place(
        chain(("a", conv("a", spec), (0,)), ("b", conv("b", spec), (0,)), ("c", conv("c", square(10, 1)), (0,)))
    )
    assert sum(isinstance(node.operator, Repack) and node.key.startswith("pack") for node in placed.nodes) == 1


def test_residuals_share_the_pitch() -> None:
    residual = FusedConv(conv("b", square(WIDE, 1)).layer, Epilogue(None, "before"))
    placed = place(
        chain(
            ("a", conv("a", square(WIDE, 1)), (0,)),
            ("b", residual, (1, 1)),
            ("c", conv("c", square(WIDE, 3, padding=ONE)), (2,)),
            ("d", ELEMENTWISE, (3,)),
            first=IMAGE,
        )
    )
    assert {placed.layouts[t].pitch for t in (1, 2, 3)} == {WIDE + 1}
    assert placed.layouts[1].halo == NO_HALO
    assert placed.layouts[2].halo == ONE


def test_small_images_have_gaps_only_where_taps_read_them() -> None:
    layers = [("a", 1), ("b", 3), ("c", 1), ("d", 3)]
    specs = [(key, square(7, kernel, padding=ONE if kernel == 3 else NO_HALO)) for key, kernel in layers]
    placed = place(chain(*((key, conv(key, spec), (i,)) for i, (key, spec) in enumerate(specs)), first=(1, 8, 7, 7)))
    assert keys(placed) == ["a", "b", "c", "d"]
    assert [layout and layout.pitch for layout in placed.layouts[:5]] == [7, 8, 7, 8, 7]


def test_windows_over_rows_write_any_pitch() -> None:
    depthwise = conv("a", square(WIDE, 3, padding=ONE, groups=8))
    placed = place(chain(("e", ELEMENTWISE, (0,)), ("a", depthwise, (1,)), ("b", ELEMENTWISE, (2,)), first=IMAGE))
    assert placed.layouts[1].pitch == WIDE + 1
    assert placed.layouts[2] == plain(WIDE, WIDE)


@pytest.mark.parametrize(
    "reader",
    [View(), conv("linear", ConvSpec(1, 8, 1, 1, 8))],
    ids=["view", "linear"],
)
def test_what_is_read_as_a_list_of_numbers_is_contiguous(reader: Operator) -> None:
    first = (1, 8, 1, 1)
    spec = ConvSpec(1, 8, 1, 1, 8, 3, 3, padding=ONE)
    placed = place(chain(("a", conv("a", spec), (0,)), ("b", reader, (1,)), first=first))
    assert placed.layouts[1] == plain(1, 1)


def test_a_mean_reads_any_layout() -> None:
    placed = place(
        chain(
            ("a", conv("a", square(10, 1)), (0,)),
            ("b", conv("b", square(10, 3, padding=ONE)), (1,)),
            ("c", MeanLayer("c", "c", 1, 8, 10, 10), (2,)),
        )
    )
    assert keys(placed)[-1] == "c"
    assert not any(node.key == "unpack_b" for node in placed.nodes)


def test_elementwise_kernels_write_halos() -> None:
    placed = place(
        chain(
            ("a", ELEMENTWISE, (0,)),
            ("b", conv("b", square(10, 3, padding=ONE)), (1,)),
            ("c", ELEMENTWISE, (2,)),
        )
    )
    assert keys(placed) == ["a", "b", "c"]
    assert placed.layouts[1].halo == ONE


def test_a_result_that_is_read_again_is_written_once() -> None:
    graph = chain(("a", conv("a", square(10, 1)), (0,)), ("b", conv("b", square(10, 1)), (1,)))
    placed = place(replace(graph, outputs=(1, 2)))
    assert keys(placed) == ["a", "b"]
