"""ONNX's own node tests: what is compiled computes what they say, and the rest is refused for the known reason."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx_case import PASSED, node_tests, outcome

DATA = json.loads((Path(__file__).parent.parent / "docs" / "onnx_node_tests.json").read_text())
REASONS = {name: reason for reason, names in DATA["refused"].items() for name in names}
#: so many parts the slow test has
PARTS = 40
#: of every file of translations some, and of every way to be refused one
SAMPLE = (
    "test_conv_with_strides_and_asymmetric_padding", "test_convtranspose_output_shape",
    "test_averagepool_2d_same_upper",
    "test_resize_downsample_scales_cubic", "test_gru_with_initial_bias", "test_reduce_l2_default_axes_keepdims_example",
    "test_slice_neg_steps", "test_hardsigmoid", "test_layer_normalization_3d_axis1_epsilon",
    "test_gather_negative_indices", "test_group_normalization_epsilon", "test_attention_4d", "test_det_2d",
)  # fmt: skip


def test_the_table_has_every_test() -> None:
    assert onnx.__version__ == DATA["onnx"]  # as constraints.txt has it
    assert sorted([*DATA["passed"], *REASONS]) == sorted(node_tests())


@pytest.mark.parametrize("name", SAMPLE)
def test_some(name: str, tmp_path: Path) -> None:
    assert outcome(name, tmp_path) == REASONS.get(name, PASSED)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_all(part: int, tmp_path: Path) -> None:
    names = sorted(node_tests())[part::PARTS]
    found = {name: outcome(name, tmp_path) for name in names}
    assert {name: why for name, why in found.items() if why != REASONS.get(name, PASSED)} == {}
