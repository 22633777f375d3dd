"""The oracle itself, against torch in float64 and against its second, block by block definition."""

import numpy as np
import pytest
import torch
from cases import BY_NAME, CASES, build
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.conv_reference import conv2d, conv_transpose2d, sparse_conv2d


def torch_conv2d(x, weight, bias, spec):
    """float64 result of PyTorch."""
    top, left, bottom, right = spec.padding
    x, weight, bias = (None if a is None else torch.tensor(a, dtype=torch.float64) for a in (x, weight, bias))
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, weight, bias, spec.stride, 0, spec.dilation, spec.groups).numpy()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_agrees_with_torch_to_the_bit(case):
    arrays, spec = build(case), case.spec
    expected = torch_conv2d(arrays.x, arrays.weight, arrays.bias, spec)
    assert arrays.y.shape == (spec.n, spec.oc, spec.oh, spec.ow)
    assert arrays.y.dtype == np.float32
    assert np.array_equal(arrays.y, expected)
    assert np.array_equal(sparse_conv2d(arrays.x, arrays.blocks, arrays.bias, spec), expected)


def test_case_names_are_unique():
    assert len(BY_NAME) == len(CASES)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
specs = st.builds(
    lambda n, groups, ic, oc, ih, iw, kh, kw, **rest: ConvSpec(
        n, groups * ic, ih, iw, groups * oc, kh, kw, groups=groups, **rest
    ),
    *(st.integers(1, high) for high in (2, 3, 3, 3, 8, 8, 4, 4)),
    stride=pairs,
    dilation=pairs,
    padding=st.tuples(*[st.integers(0, 3)] * 4),
)


@given(spec=specs, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_any_spec_agrees_with_torch(spec, seed):
    assume(spec.oh >= 1 and spec.ow >= 1)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((spec.n, spec.ic, spec.ih, spec.iw), np.float32)
    weight = rng.standard_normal(spec.weight_shape, np.float32)
    bias = rng.standard_normal(spec.oc, np.float32)
    y = conv2d(x, weight, bias, spec)
    np.testing.assert_allclose(y, torch_conv2d(x, weight, bias, spec), rtol=1e-6, atol=1e-6)


@given(
    shape=st.tuples(*(st.integers(1, high) for high in (2, 3, 3, 3, 6, 6, 4, 4))),
    stride=pairs,
    dilation=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    extra=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
@settings(max_examples=100, deadline=None)
def test_transposed_agrees_with_torch(shape, stride, dilation, padding, extra):
    n, groups, ic, oc, ih, iw, kh, kw = shape
    extra = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation, strict=True))
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal((n, groups * ic, ih, iw), np.float32)
    weight = rng.standard_normal((groups * ic, oc, kh, kw), np.float32)
    bias = rng.standard_normal(groups * oc, np.float32)
    out_h = (ih - 1) * stride[0] - 2 * padding[0] + dilation[0] * (kh - 1) + extra[0] + 1
    out_w = (iw - 1) * stride[1] - 2 * padding[1] + dilation[1] * (kw - 1) + extra[1] + 1
    assume(out_h >= 1 and out_w >= 1)
    tensors = (torch.tensor(a, dtype=torch.float64) for a in (x, weight, bias))
    expected = F.conv_transpose2d(*tensors, stride, padding, extra, groups, dilation).numpy()
    y = conv_transpose2d(
        x, weight, bias, stride=stride, padding=padding * 2, output_padding=extra, dilation=dilation, groups=groups
    )
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_transposed_cuts_each_side_on_its_own():
    x, weight = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
    whole = conv_transpose2d(x, weight, None, stride=(2, 2))
    cut = conv_transpose2d(x, weight, None, stride=(2, 2), padding=(0, 1, 2, 3))
    assert np.array_equal(cut, whole[:, :, 0:-2, 1:-3])


def test_sparse_reference_skips_pruned_weights_of_a_nan_input():
    case = BY_NAME["empty_row"]
    arrays = build(case)
    x = np.full_like(arrays.x, np.nan)
    y = sparse_conv2d(x, arrays.blocks, arrays.bias, case.spec)
    assert np.isfinite(y[:, : case.block_n]).all()
    assert np.isnan(conv2d(x, arrays.weight, arrays.bias, case.spec)).all()


def test_sum_beyond_float32_is_inf():
    spec = ConvSpec(1, 2, 1, 1, 1)
    huge = np.full((1, 2, 1, 1), 3e38, np.float32)
    assert conv2d(np.ones((1, 2, 1, 1), np.float32), huge, None, spec).item() == np.inf
