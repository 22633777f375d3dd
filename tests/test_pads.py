"""Padding with an image's own pixels: whatever PyTorch moves where, between all layouts."""

from __future__ import annotations

import numpy as np
import pytest
from generic_case import LANES, kinds
from helpers import random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_case import call, layouts, placed, view
from operator_cases.case import Function
from torch.nn import functional as F  # noqa: N812

from sparsecc._tvm import IRModule, structural_walk, tirx
from sparsecc.importer import import_model
from sparsecc.ir.layout import plain
from sparsecc.ir.pad import PadLayer
from sparsecc.kernels.pad import PadShape, pad
from sparsecc.lower.table import KERNELS

PARALLEL = 1
MODES = ("reflect", "replicate", "circular")
EXTENTS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 33, 64)


def layer_of(shape: tuple[int, ...], amounts: list[int], mode: str) -> PadLayer:
    """What the importer makes of a pad."""
    imported = import_model(Function(lambda x: F.pad(x, amounts, mode)).eval(), random_inputs(shape))
    (layer,) = imported.layers.values()
    assert isinstance(layer, PadLayer)
    return layer


@st.composite
def pairs(draw: st.DrawFn, axis: int, mode: str) -> tuple[int, int]:
    """Amounts before and after an axis that PyTorch takes; one may crop."""
    crop = draw(st.integers(0, (axis - 1) // 2))
    most = {"reflect": axis - 1, "circular": axis - crop, "replicate": 20}[mode]
    other = draw(st.integers(0, min(20, most)))
    first = draw(st.sampled_from([-crop, 0, min(3, most)]))
    return draw(st.sampled_from([(first, other), (other, first)]))


@pytest.mark.parametrize("mode", MODES)
@given(data=st.data())
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
def test_results(mode, data):
    h, w = (data.draw(st.sampled_from(EXTENTS[mode == "reflect" :])) for _ in range(2))
    amounts = [amount for axis in (w, h) for amount in data.draw(pairs(axis, mode))]
    lanes = data.draw(st.sampled_from(list(LANES)))
    (x,) = random_inputs((2, 3, h, w))
    expected = F.pad(x, amounts, mode).numpy()
    layer, (oh, ow) = layer_of(x.shape, amounts, mode), expected.shape[2:]
    np.testing.assert_array_equal(KERNELS["pad"].reference(layer, IRModule(), [x.numpy()]), expected)
    source, target = data.draw(st.sampled_from(layouts(h, w))), data.draw(st.sampled_from(layouts(oh, ow)))
    shape = PadShape(6, source, target, layer.run, int(layer.columns[layer.run[0]]))
    arrays = [placed(x.reshape(6, h, w).numpy(), source), layer.rows, layer.columns]
    found = call(pad(shape, lanes=lanes), arrays, target.size(6), lanes)
    np.testing.assert_array_equal(view(found, target, 6), expected.reshape(6, oh, ow))
    assert np.isnan(found).sum() == found.size - expected.size, "it wrote between the pixels"


def test_rows_are_shared_and_copied_in_vectors():
    layer = layer_of((1, 8, 48, 48), [1, 1, 1, 1], "reflect")
    assert layer.run == (1, 49)
    function = pad(PadShape(8, plain(48, 48), plain(50, 50), layer.run, 0), lanes=8)
    assert PARALLEL in kinds(function.body)
    found: list[tirx.Ramp] = []
    structural_walk(function.body, (tirx.Ramp, found.append))
    assert {int(ramp.lanes) for ramp in found} == {8}


def test_the_longest_run_is_copied():
    layer = layer_of((1, 1, 1, 9), [2, 1, 0, 0], "circular")
    assert layer.columns.tolist() == [7, 8, *range(9), 0]
    assert layer.run == (2, 11)
