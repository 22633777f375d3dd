"""Taps that read only the zeros around an image are left out, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

import sparsecc
from sparsecc.importer.convolution import used_taps
from sparsecc.ir.conv import ConvSpec


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding", "left"),
    [
        (20, 3, 1, 24, (24, 24), ((1, 1), (0, 0))),  # the middle tap
        (20, 3, 1, 20, (20, 20), ((1, 1), (0, 0))),
        (20, 3, 1, 19, (19, 19), ((0, 3), (19, 19))),  # a corner is read by one pixel
        (1, 3, 1, 1, (1, 1), ((1, 1), (0, 0))),
        (1, 3, 2, 1, (1, 1), ((1, 1), (0, 0))),
        (2, 5, 1, 1, (2, 2), ((1, 3), (1, 1))),
        (20, 3, 1, 30, (24, 24), ((0, 3), (24, 24))),  # the middle tap stands below the first row: padding is too small
        (3, 2, 1, 10, (5, 5), ((0, 2), (5, 5))),  # no tap reads anything
        (4, 2, 1, 4, (4, 0), ((1, 1), (0, 0))),
        (8, 3, 1, 1, (1, 1), ((0, 3), (1, 1))),
    ],
)
def test_which_taps_stay(size, kernel, stride, dilation, padding, left):
    """Along either axis, whatever the other does; ``left`` is which taps stay and the padding."""
    first, last = padding
    weight = np.arange(2.0 * kernel, dtype=np.float32).reshape(1, 1, kernel, 2)
    (begin, taps), (before, after) = left
    spec = ConvSpec(
        1, 1, size, 9, 1, kernel, 2, stride=(stride, 1), dilation=(dilation, 1), padding=(first, 0, last, 0)
    )
    found, kept = used_taps(spec, weight)
    assert (found.kh, found.kw, found.padding) == (taps, 2, (before, 0, after, 0))
    assert (found.oh, found.ow) == (spec.oh, spec.ow)
    np.testing.assert_array_equal(kept, weight[:, :, begin : begin + taps])
    turned = ConvSpec(
        1, 1, 9, size, 1, 2, kernel, stride=(1, stride), dilation=(1, dilation), padding=(0, first, 0, last)
    )
    found, kept = used_taps(turned, weight.swapaxes(2, 3))
    assert (found.kw, found.kh, found.padding) == (taps, 2, (0, before, 0, after))
    np.testing.assert_array_equal(kept, weight.swapaxes(2, 3)[:, :, :, begin : begin + taps])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    padding=st.tuples(*[st.integers(0, 12)] * 4),
)
def test_results_are_the_same(size, kernel, stride, dilation, padding):
    top, left, bottom, right = padding
    spec = ConvSpec(2, 2, *size, 3, *kernel, stride=stride, dilation=dilation, padding=padding)
    if (
        min(
            size[0] + top + bottom - dilation[0] * (kernel[0] - 1),
            size[1] + left + right - dilation[1] * (kernel[1] - 1),
        )
        < 1
    ):
        return
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 2, *size, generator=generator), torch.randn(3, 2, *kernel, generator=generator)

    def result(spec: ConvSpec, weight: torch.Tensor) -> torch.Tensor:
        top, left, bottom, right = spec.padding
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, stride=spec.stride, dilation=spec.dilation)

    found, kept = used_taps(spec, weight.numpy())
    torch.testing.assert_close(result(found, torch.from_numpy(kept.copy())), result(spec, weight))


def test_a_dilated_kernel_on_a_small_image_is_one_tap():
    """Dense and pruned, sums and depthwise: as with fewer taps, and right."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(32, 32, 3, padding=24, dilation=24),
        nn.BatchNorm2d(32),
        nn.Conv2d(32, 32, 3, padding=36, dilation=36, groups=32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=12, dilation=12),
        nn.ConvTranspose2d(32, 16, 3, padding=1),
    ).eval()
    with torch.no_grad():
        model[0].weight[:16, 1:] = 0
    report = sparsecc.compile(model, example_inputs=(torch.randn(1, 32, 20, 20),)).report
    assert report.error <= 1e-5
    assert [layer.spec.taps for layer in report.plan.layers] == [1, 1, 9, 9]


@pytest.mark.parametrize(
    ("size", "dilation", "padding", "stride", "pruned"),
    [(20, 12, 12, 1, False), (20, 6, 6, 1, True), (23, 9, 12, 2, False), (14, 8, 8, 1, True)],
)
def test_tiles_leave_out_rows_of_taps_in_the_padding(size, dilation, padding, stride, pruned):
    """Where each tap reads pixels somewhere, but not for every row of pixels."""
    torch.manual_seed(0)
    model = nn.Conv2d(64, 32, 3, stride, padding, dilation).eval()
    if pruned:
        with torch.no_grad():
            model.weight[:16, ::2] = 0
    report = sparsecc.compile(model, example_inputs=(torch.randn(2, 64, size, size),), winograd=False).report
    assert report.error <= 1e-5
    assert report.plan.layers[0].spec.taps == 9
