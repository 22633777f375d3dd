"""Norms by statistics of the input: as exact as PyTorch's, recognised however they are written, one kernel each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from generic_case import LANES
from generic_case import kinds as loops
from helpers import Array, agree, close, compiled, kinds, random_inputs, run_strictly
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_case import call, layouts, placed, view
from nets import impose_1xn
from operator_cases.case import Function, OperatorCase, Together
from operator_cases.norms import ChannelNorm, lively
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparsecc._tvm import IRModule, PrimFunc
from sparsecc.errors import NotSupportedError
from sparsecc.importer import import_model
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layout import compact, padded, plain
from sparsecc.ir.norm import NormLayer
from sparsecc.kernels.norm import norm
from sparsecc.kernels.norm_parts import has_parts
from sparsecc.kernels.norm_shape import NormShape
from sparsecc.lower.table import KERNELS

PARALLEL, VECTORIZED = 1, 2
EXTENTS = (1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 67, 129, 1021)
MOST = 60_000


@st.composite
def shapes(draw: st.DrawFn, *, across: bool) -> NormShape:
    """Any of them with little enough to compute."""
    items, planes = draw(st.sampled_from(EXTENTS[:9])), draw(st.sampled_from(EXTENTS))
    h, w = (draw(st.sampled_from([e for e in EXTENTS[:12] if e * items * planes <= MOST] or [1])) for _ in range(2))
    if items * planes * h * w > MOST:
        h = 1
    groups = draw(st.sampled_from([1] if across else [g for g in (1, 2, 5) if items % g == 0]))
    source, target = (plain(1, 1),) * 2 if h * w == 1 else (draw(st.sampled_from(layouts(h, w))) for _ in range(2))
    activation = draw(st.sampled_from([None, None, Activation("relu")]))
    return NormShape(items, planes, groups, source, target, across and h * w > 1, draw(st.booleans()), 1e-5, activation)


def layer_of(shape: NormShape, weight: Array, bias: Array) -> NormLayer:
    """The operator whose kernel has a shape."""
    tensor: tuple[int, ...] = (shape.items, shape.planes)
    tensor += (shape.source.h, shape.source.w) if shape.pixels > 1 else ()
    return NormLayer(
        "n", "n", tensor, shape.items, shape.planes, shape.across, weight, bias, shape.eps, shape.centred,
        shape.activation,
    )  # fmt: skip


def pytorch(layer: NormLayer, x: Tensor) -> Tensor:
    """The same by PyTorch, in the type of ``x``, which is ``(items, planes, pixels)``."""
    turned = x.movedim(1, -1).contiguous() if layer.across else x.flatten(1)
    last = turned.shape[-1:]
    y = F.layer_norm(turned, last, eps=layer.eps) if layer.centred else F.rms_norm(turned, last, eps=layer.eps)
    y = y.movedim(-1, 1) if layer.across else y.view(x.shape)
    weight, bias = (torch.from_numpy(w).to(x.dtype).view(layer.groups, -1, 1) for w in (layer.weight, layer.bias))
    group = torch.arange(layer.items) % layer.groups
    y = y * weight[group] + bias[group]
    return y.relu() if layer.activation else y


def check(shape: NormShape, lanes: int, *, offset: float = 0.0) -> PrimFunc:
    """A kernel's result: right, and at most twice as far from the truth as PyTorch's; so is NumPy's."""
    generator = np.random.default_rng(0)
    planes = shape.items * shape.planes
    x = generator.standard_normal((planes, shape.source.h, shape.source.w)).astype(np.float32) + np.float32(offset)
    weight, bias = generator.standard_normal((2, shape.groups * shape.planes)).astype(np.float32)
    function, layer = norm(shape, lanes=lanes), layer_of(shape, weight, bias)
    size = shape.target.size(planes)
    found = call(function, [placed(x, shape.source), weight, bias], size, lanes)
    flat = torch.from_numpy(x).view(shape.items, shape.planes, -1)
    truth, single = pytorch(layer, flat.double()).numpy(), pytorch(layer, flat).numpy()
    result = view(found, shape.target, planes).reshape(truth.shape)
    scale = np.abs(truth).max() + 1e-6
    assert np.abs(result - truth).max() / scale <= 2 * np.abs(single - truth).max() / scale + 4e-7
    assert np.isnan(placed(x * 0, shape.target)).sum() == np.isnan(found).sum(), "it wrote between the pixels"
    by_numpy = KERNELS["norm"].reference(layer, IRModule(), [x])
    np.testing.assert_allclose(by_numpy.reshape(truth.shape) / scale, truth / scale, rtol=0, atol=2e-7)
    return function


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("across", [True, False])
@given(data=st.data())
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
def test_results(across, lanes, data):
    shape = data.draw(shapes(across=across))
    function = check(shape, lanes)
    if shape.numbers >= lanes and not shape.across:
        assert VECTORIZED in loops(function.body)


A, L = plain(56, 56), plain(1, 1)
#: those of ConvNeXt, of Swin and ViT, of PoolFormer, of U-Nets, of style transfer, and odd ones
USUAL = {
    "channels_first": NormShape(1, 96, 1, A, A, True, True, 1e-6, None),
    "rows": NormShape(3136, 96, 1, L, L, False, True, 1e-6, None),
    "long_rows": NormShape(197, 768, 1, L, L, False, False, 1e-6, None),
    "one_group": NormShape(1, 64, 1, A, A, False, True, 1e-5, None),
    "one_group_of_odd": NormShape(2, 23, 1, compact(31, 29), padded(31, 29, halo=(1, 1, 1, 1), pitch=30), False, True,
                                  1e-5, None),
    "instances": NormShape(64, 1, 64, A, A, False, True, 1e-5, None),
    "one_row": NormShape(1, 30011, 1, L, L, False, True, 1e-5, None),
    "one_row_without_mean": NormShape(1, 30011, 1, L, L, False, False, 1e-5, None),
}  # fmt: skip


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("name", USUAL)
def test_usual_ones_are_exact_in_vectors_and_parallel(name, offset):
    """Far from 0, too, where the mean's own error is what counts."""
    function = check(USUAL[name], max(LANES), offset=offset)
    assert loops(function.body) >= {PARALLEL, VECTORIZED}


def test_few_and_long_ones_are_shared_in_parts():
    assert {name for name, shape in USUAL.items() if has_parts(shape)} == {
        "one_group", "one_group_of_odd", "one_row", "one_row_without_mean",
    }  # fmt: skip
    assert not has_parts(replace(USUAL["one_group"], items=8))


def test_special_values():
    """Equal numbers have no variance; one that is not finite spoils what it shares a mean with, and nothing else."""
    x = random_inputs((3, 5, 3, 19))[0]
    x[:, :, 2, 4] = x[:, 1, 2] = 0.1
    x[1, 1, 2, 4], x[2, 1, 2, 4] = math.inf, math.nan
    model = Function(
        lambda x: (
            F.layer_norm(x.permute(0, 2, 3, 1), (5,), eps=0.25).permute(0, 3, 1, 2), F.layer_norm(x, (19,), eps=0.25),
        )
    )  # fmt: skip
    across, rows = run_strictly(compiled(model, (x,)), (x,))
    for found, want in zip((across, rows), model(x), strict=True):
        close(found, want.numpy(), tolerance=1e-6)
    np.testing.assert_allclose(across[0, :, 2, 4], 0, atol=1e-5)
    np.testing.assert_allclose(rows[0, 1, 2], 0, atol=1e-5)
    assert np.isnan(across).sum() == 2 * 5
    assert np.isnan(rows).sum() == 2 * 19


FORMS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    **{form: (lambda f=form: ChannelNorm(8, f), ["norm"]) for form in ("permuted", "var", "once", "twice")},
    "activated": (lambda: nn.Sequential(nn.GroupNorm(2, 8), nn.SiLU()), ["norm"]),
    "scaled": (lambda: Function(lambda x: F.layer_norm(x, (11,)) * torch.arange(11.0) + 1), ["norm"]),
    "scaled_after": (
        lambda: Function(lambda x: F.layer_norm(x, (11,)).relu() * torch.arange(11.0)), ["norm", "generic"],
    ),
    "scaled_by_rows": (
        lambda: Function(lambda x: F.layer_norm(x, (11,)) * torch.arange(9.0)[:, None]), ["norm", "generic"],
    ),
    "with_statistics": (
        lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.InstanceNorm2d(8, track_running_stats=True)), ["direct"],
    ),
}  # fmt: skip


def test_one_kernel_each():
    """And the results of all of them, in one network."""
    forms = [OperatorCase(name, lively(make), [(2, 8, 9, 11)]) for name, (make, _) in FORMS.items()]
    artefact = agree(Together(forms), *[(2, 8, 9, 11)] * len(forms))
    assert sorted(kinds(artefact)) == sorted(kind for _, expected in FORMS.values() for kind in expected)


def unlike(x: Tensor) -> Tensor:
    """The distance from another mean."""
    return (x - x.mean(2, keepdim=True)) / torch.sqrt((x - x.mean(1, keepdim=True)).pow(2).mean(1, True) + 1e-6)


OTHERS: dict[str, Callable[[Tensor], Any]] = {
    "another mean": unlike,
    "cubes": lambda x: x / torch.sqrt(x.pow(3).abs().mean(1, True) + 1e-6),
    "other squares": lambda x: x / torch.sqrt((x * x.relu()).mean(1, True) + 1e-6),
    "corrected": lambda x: (x - x.mean(1, True)) / torch.sqrt(x.var(1, keepdim=True) + 1e-6),
    "no axis left": lambda x: x[0, 0, 0] / torch.sqrt(x.pow(2).mean(1) + 1e-6)[0, 0, 0],
    "first axis": lambda x: x / torch.sqrt(x.pow(2).mean(0, True) + 1e-6),
    "nothing added": lambda x: x / torch.sqrt(x.pow(2).mean(1, True)),
    "a tensor added": lambda x: x / torch.sqrt(x.pow(2).mean(1, True) + x.pow(2).mean(1, True)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_it_stays_apart(name):
    imported = import_model(Function(OTHERS[name]).eval(), random_inputs((1, 2, 6, 6)))
    assert not any(isinstance(layer, NormLayer) for layer in imported.layers.values())


def test_a_norm_that_is_read_within_stays_several_operators():
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        d = x - x.mean(1, keepdim=True)
        return d / torch.sqrt(d.pow(2).mean(1, keepdim=True) + 1e-6), d

    imported = import_model(Function(both).eval(), random_inputs((1, 6, 5, 7)))
    assert not imported.layers


def test_between_layers_with_rearranged_rows():
    norms = (ChannelNorm(16, "permuted"), nn.GroupNorm(1, 16), nn.InstanceNorm2d(16, affine=True), nn.GroupNorm(4, 16))
    layers = [(lively(lambda n=n: n)(), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)) for n in norms]
    model = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), *(part for group in layers for part in group))
    impose_1xn(model, 4, 0.5, rearrange=True)
    artefact = agree(model, (1, 8, 12, 13))
    assert kinds(artefact).count("norm") == 4
    assert "generic" not in kinds(artefact)


@pytest.mark.parametrize("operator", ["native_layer_norm", "native_group_norm"])
def test_statistics_are_no_results(operator):
    def compute(x: Tensor) -> Tensor:
        if operator == "native_layer_norm":
            return torch.ops.aten.native_layer_norm(x, [4], None, None, 1e-5)[1]
        return torch.ops.aten.native_group_norm(x, None, None, 2, 6, 4, 2, 1e-5)[2]

    with pytest.raises(NotSupportedError, match=rf"layer {operator}: the mean and deviation that aten.{operator}"):
        import_model(Function(compute), random_inputs((2, 6, 4)))
