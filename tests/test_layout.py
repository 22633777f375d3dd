"""Where pixels lie: addresses against a model, which copies are planned, and networks that mix all layouts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import Case, build, case_grouping
from helpers import Job, agree, run_jobs
from hypothesis import given, settings
from hypothesis import strategies as st
from random_nets import random_net

from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.epilogue import Activation, Epilogue
from sparsecc.facts.graph import FusedConv, Graph, Node, Operator, TirOp, View
from sparsecc.facts.layer import ConvLayer, MeanLayer, PoolLayer
from sparsecc.facts.layout import PlaneLayout, dealt, padded, plain, split, split_height, split_width
from sparsecc.facts.placed import Placed, Repack
from sparsecc.rewrite.layout import place

Halo = tuple[int, int, int, int]
NO_HALO: Halo = (0, 0, 0, 0)
ONE: Halo = (1, 1, 1, 1)

sizes = st.integers(1, 9)
margins = st.integers(0, 4)
halos = st.tuples(margins, margins, margins, margins)


# --- addresses -----------------------------------------------------------------------------------------------------


def pixel_addresses(layout: PlaneLayout, planes: int) -> np.ndarray:
    """Address of every pixel of an unsplit layout, ``(planes, h, w)``."""
    plane, row, col = np.ogrid[:planes, : layout.h, : layout.w]
    return layout.lead + plane * layout.channel + row * layout.pitch + col


def halo_addresses(layout: PlaneLayout, planes: int) -> np.ndarray:
    """Address of every pixel of the halo, flat."""
    top, left, bottom, right = layout.halo
    plane, row, col = np.ogrid[:planes, -top : layout.h + bottom, -left : layout.w + right]
    where = layout.lead + plane * layout.channel + row * layout.pitch + col
    inside = (row >= 0) & (row < layout.h) & (col >= 0) & (col < layout.w) & (plane >= 0)
    return where[~inside]


@given(h=sizes, w=sizes, planes=st.integers(1, 3), halo=halos, room=st.integers(0, 5))
def test_pixels_and_halo_have_places_of_their_own(h: int, w: int, planes: int, halo: Halo, room: int) -> None:
    layout = padded(h, w, halo=halo, pitch=w + max(halo[1], halo[3]) + room)
    pixels, zeros = pixel_addresses(layout, planes), halo_addresses(layout, planes)
    assert len(np.unique(pixels)) == pixels.size
    assert not np.intersect1d(pixels, zeros).size
    both = np.concatenate([pixels.ravel(), zeros])
    assert both.min() >= 0
    assert both.max() < layout.size(planes)


@given(h=sizes, w=sizes, halo=halos)
def test_tap_offset_is_the_address_in_the_first_plane(h: int, w: int, halo: Halo) -> None:
    layout = padded(h, w, halo=halo, pitch=w + max(halo[1], halo[3]))
    assert layout.tap_offset(0, 0) == pixel_addresses(layout, 1)[0, 0, 0]
    assert layout.tap_offset(h - 1, w - 1) == pixel_addresses(layout, 1)[0, -1, -1]
    assert layout.tap_offset(-halo[0], -halo[1]) >= 0


@given(h=sizes, w=sizes, halo=halos, room=st.integers(0, 5))
def test_dealt_planes_have_rows_two_apart_one_pitch_apart(h: int, w: int, halo: Halo, room: int) -> None:
    top, left, bottom, right = halo
    layout = dealt(h, w, halo=halo, pitch=w + max(left, right) + room)
    places = {(r, c): layout.tap_offset(r, c) for r in range(-top, h + bottom) for c in range(-left, w + right)}
    pixels = {places[r, c] for r in range(h) for c in range(w)}
    halo_places = {at for (r, c), at in places.items() if not (0 <= r < h and 0 <= c < w)}
    assert len(pixels) == h * w
    assert not pixels & halo_places
    assert min(places.values()) >= 0
    assert max(places.values()) < layout.size(1)
    for (row, col), at in places.items():
        assert places.get((row + 2, col), at + layout.pitch) == at + layout.pitch
        assert places.get((row, col + 2), at + 1) == at + 1


def test_a_pitch_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="pitch 8 has no room"):
        padded(5, 7, halo=(0, 2, 0, 1), pitch=8)


def test_nothing_to_pad_is_plain() -> None:
    assert padded(5, 7, halo=NO_HALO, pitch=7) == plain(5, 7)
    assert plain(5, 7).is_plain
    assert not padded(5, 7, halo=NO_HALO, pitch=8).is_plain
    assert plain(5, 7).size(6) == 210


def test_large_planes_are_an_odd_number_of_cache_lines_apart() -> None:
    assert padded(64, 62, halo=ONE, pitch=64).plane % 32 == 16
    assert padded(2, 3, halo=ONE, pitch=5).plane % 16 == 0


@st.composite
def convolutions(draw: st.DrawFn, *, groups: bool = True, largest: int = 9) -> ConvSpec:
    """Any convolution that has an output."""
    kernel, stride, dilation = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(3))
    stride = (min(stride[0], 3), min(stride[1], 3))
    padding = draw(halos)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    low = [max(1, reach[i] - padding[i] - padding[i + 2]) for i in range(2)]
    ih, iw = (draw(st.integers(smallest, max(smallest, largest))) for smallest in low)
    g = draw(st.sampled_from([1, 1, 2, 3])) if groups else 1
    ic, oc = (g * draw(st.integers(1, 5)) for _ in range(2))
    n = draw(st.integers(1, 3))
    return ConvSpec(n, ic, ih, iw, oc, *kernel, stride, padding, dilation, g)


@given(spec=convolutions(groups=False), room=st.integers(0, 4))
def test_taps_of_a_phase_layout_read_consecutive_floats(spec: ConvSpec, room: int) -> None:
    spec = replace(spec, stride=(max(spec.stride[0], 2), spec.stride[1]))
    layout = split(spec, pitch=split_width(spec) + room)
    row, col = np.ogrid[: spec.oh, : spec.ow]
    seen: dict[int, tuple[int, int]] = {}
    for a in range(spec.kh):
        for b in range(spec.kw):
            y, x = a * spec.dilation[0], b * spec.dilation[1]
            where = layout.tap_offset(y, x) + row * layout.pitch + col
            pixels = [(y + r * spec.stride[0], x + c * spec.stride[1]) for r in range(spec.oh) for c in range(spec.ow)]
            for address, pixel in zip(where.ravel().tolist(), pixels, strict=True):
                assert seen.setdefault(address, pixel) == pixel
                assert 0 <= address < layout.channel
    assert len(set(seen.values())) == len(seen)
    assert layout.plane >= split_height(spec) * layout.pitch


# --- placing -------------------------------------------------------------------------------------------------------


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


# --- kernels in their layouts --------------------------------------------------------------------------------------


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Job, np.ndarray]:
    """A convolution with anything around it, and what it should give."""
    spec = draw(convolutions(largest=12))
    block_n = draw(st.sampled_from([1, 2, 3, 4, 8]))
    name = f"{spec}{block_n}"
    case = Case(name, spec, block_n, draw(st.sampled_from([0.2, 0.5, 1.0])), draw(st.booleans()), draw(st.booleans()))
    arrays, halo = build(case), draw(st.sampled_from([None, NO_HALO, ONE, (0, 2, 1, 0), (3, 1, 0, 4)]))
    bias = np.zeros(spec.oc, np.float32) if arrays.bias is None else arrays.bias
    layer = ConvLayer("layer", "layer", spec, arrays.weight, bias)
    rows = case_grouping(case, rng=np.random.default_rng(0)) if draw(st.booleans()) else None
    place_of_sum = draw(st.sampled_from(["none", "before", "after"]))
    act = draw(st.sampled_from([None, Activation("relu"), Activation("clip", (-1.0, 1.0))]))
    y, other = arrays.y, np.roll(arrays.y, 1, axis=1)
    y = y + other if place_of_sum == "before" else y
    y = y if act is None else np.clip(y, 0 if act.kind == "relu" else -1, np.inf if act.kind == "relu" else 1)
    y = y + other if place_of_sum == "after" else y
    inputs = (arrays.x,) if place_of_sum == "none" else (arrays.x, other)
    top, left, bottom, right = halo or NO_HALO
    expected = np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return Job(layer, inputs, rows, None, halo, Epilogue(act, place_of_sum)), expected


@settings(max_examples=12)
@given(batch=st.lists(jobs(), min_size=6, max_size=6))
def test_any_convolution_is_exact(batch: list[tuple[Job, np.ndarray]]) -> None:
    found = run_jobs([job for job, _ in batch])
    wrong = [str(job.layer.spec) for (job, want), y in zip(batch, found, strict=True) if not np.array_equal(y, want)]
    assert wrong == []


# --- whole networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_random_network(seed: int) -> None:
    net = random_net(seed, steps=12)
    agree(net, net.shapes[0], tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_larger_random_network(seed: int) -> None:
    net = random_net(seed, steps=20)
    agree(net, net.shapes[0], tolerance=1e-4)
