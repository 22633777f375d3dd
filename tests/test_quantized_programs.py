"""Quantized programs: what becomes layers of codes, and that all of it computes what PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from coded import CodedBranch, CodedConv, CodedLinear, CodedWeight, through_codes
from graph_runner import fused, run_graph
from helpers import RUNNABLE, compiled, run_strictly
from torch import Tensor, nn

import sparsecc
from sparsecc.forecast import forecast
from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse
from sparsecc.rewrite.listing import graph_text
from sparsecc.rewrite.rewritten import Extracted
from sparsecc.target import resolve

F = nn.functional


class Written(nn.Module):
    """Layers, and a function of them and of the input."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Tensor:
        """What the function gives."""
        return self.function(x, **self.layers)


class Case(NamedTuple):
    """A model, the shape of its input, and the operators that it is to become, as graphs are written."""

    model: nn.Module
    shape: tuple[int, ...]
    operators: tuple[str, ...]


def first(x: Tensor) -> Tensor:
    return through_codes(x, 2**-5, 128)


def made(case: Case) -> tuple[Extracted, Tensor, Tensor]:
    x = torch.randn(case.shape, generator=torch.Generator().manual_seed(1))
    _, extracted = fused(case.model, x)
    with torch.no_grad():
        expected = case.model(x)
    graph = extracted.graph
    found = run_graph(graph, extracted.module, [x.numpy()])[graph.outputs[0]]
    return extracted, torch.from_numpy(found), expected


def operators(extracted: Extracted) -> tuple[str, ...]:
    return tuple(str(node.operator) for node in extracted.graph.nodes if node.operator.kernel not in ("", "generic"))


def residual(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    x = through_codes(a(first(x)))
    return through_codes((b(x) + x).relu(), 2**-3, 7)


def branches(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    x = first(x)
    return through_codes(torch.cat([a(x), b(x)], 1), 2**-3, 100)


def wide(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    """Halves of a tensor, one of them with half of its pixels, the other with its axes exchanged."""
    low, high = through_codes(a(first(x)), 2**-3, 100).chunk(2, 1)
    return b(low)[..., ::2] + high.transpose(2, 3)[..., ::2]


torch.manual_seed(0)
CASES = {
    "relu": Case(
        Written(lambda x, a: through_codes(a(first(x)).relu()), a=CodedConv(3, 8, 3, padding=1, stride=2)),
        (2, 3, 9, 7), ("qconv 3x3, bias+uint8 0..255",),
    ),
    "relu6 with a zero point": Case(
        Written(lambda x, a: through_codes(F.relu6(a(first(x))), 2**-4, 9), a=CodedConv(6, 6, 3, groups=6)),
        (1, 6, 8, 8), ("qdepthwise 3x3, bias+uint8 9..105",),
    ),
    "hardswish": Case(
        Written(lambda x, a: through_codes(F.hardswish(a(first(x))), 2**-2, 9), a=CodedConv(4, 8, 1)),
        (1, 4, 5, 5), ("qconv 1x1, bias+hardswish+uint8 0..255",),
    ),
    "residual": Case(
        Written(residual, a=CodedConv(4, 8), b=CodedConv(8, 8, 3, padding=1, axis=None)),
        (1, 4, 6, 6), ("qconv 1x1, bias+uint8 0..255", "qconv 3x3, bias+residual+uint8 7..255"),
    ),
    "float residual": Case(
        Written(lambda x, a: a(first(x)) + x, a=CodedConv(4, 4)), (1, 4, 6, 6), ("qconv 1x1, bias+float32",),
    ),
    "sum after the activation": Case(
        Written(lambda x, a: through_codes(F.relu(a(first(x))) + first(x)), a=CodedConv(4, 4)),
        (1, 4, 6, 6), ("qconv 1x1, bias+relu+float32",),
    ),
    "int8 activations": Case(
        Written(
            lambda x, a: through_codes(a(through_codes(x, 2**-5, 3, torch.int8)), 2**-3, -7, torch.int8, (-127, 127)),
            a=CodedConv(4, 8, 3, padding=1, dilation=2, groups=2),
        ),
        (1, 4, 9, 9), ("qconv 3x3, bias+int8 -127..127",),
    ),
    "linear": Case(
        Written(lambda x, a: a(through_codes(x.flatten(1), 2**-5, 128)), a=CodedLinear(12, 5)),
        (3, 3, 2, 2), ("qlinear 1x1, bias+float32",),
    ),
    "linear of several axes": Case(
        Written(lambda x, a: through_codes(a(first(x)).relu(), 2**-3), a=CodedLinear(6, 5, axis=None)),
        (2, 3, 6), ("qlinear 1x1, bias+uint8 0..255",),
    ),
    "linear of images": Case(
        Written(lambda x, a: through_codes(a(first(x)), 2**-3, 100), a=CodedLinear(8, 8)),
        (1, 4, 8, 8), ("qlinear 1x1, bias+uint8 0..255",),
    ),
    "sequence": Case(
        Written(
            lambda x, w: through_codes(F.conv1d(first(x), w(), padding=1).relu(), 2**-3), w=CodedWeight((8, 4, 3))
        ),
        (1, 4, 10), ("qconv 1x3, bias+uint8 0..255",),
    ),
    "transposed": Case(
        Written(
            lambda x, w: through_codes(F.conv_transpose2d(first(x), w(), stride=2, groups=2), 2**-3, 99),
            w=CodedWeight((4, 3, 2, 2), axis=1),
        ),
        (1, 4, 5, 5), ("qconv 1x1, bias+uint8 0..255",),
    ),
    "branches": Case(
        Written(branches, a=CodedConv(4, 8), b=CodedConv(4, 4, 3, padding=1)),
        (1, 4, 6, 6), ("qconv 1x1, bias+uint8 0..255", "qconv 3x3, bias+uint8 0..255"),
    ),
    "moved codes": Case(
        Written(wide, a=CodedConv(4, 8), b=CodedConv(4, 4)),
        (1, 4, 6, 6), ("qconv 1x1, bias+uint8 0..255", "qconv 1x1, bias+float32"),
    ),
    "reshaped before it is quantized": Case(
        Written(lambda x, a: through_codes(a(first(x)).flatten(1), 2**-3, 99), a=CodedConv(4, 8)),
        (1, 4, 3, 3), ("qconv 1x1, bias+uint8 0..255",),
    ),
    "pools": Case(
        Written(lambda x: through_codes(F.avg_pool2d(F.max_pool2d(first(x), 3, 2, 1), 2, 1, 1), 2**-5, 128)),
        (1, 4, 9, 9), ("qpool 3x3, uint8",),
    ),
    "dilated pools": Case(
        Written(lambda x: through_codes(F.max_pool2d(first(x), 3, 2, 1, dilation=2), 2**-5, 128)),
        (1, 4, 9, 9), ("qpool 3x3, uint8",),
    ),
    "averages without padding": Case(
        Written(lambda x: F.avg_pool2d(first(x), 3, 2, 1, ceil_mode=True, count_include_pad=False)), (1, 4, 8, 8), (),
    ),
    "divided by a number": Case(
        Written(lambda x: F.avg_pool2d(first(x), 2, divisor_override=8)), (1, 4, 8, 8), (),
    ),
    "means": Case(Written(lambda x: through_codes(first(x).mean((2, 3)), 2**-6, 128)), (2, 4, 8, 8), ()),
    "arithmetic": Case(
        Written(lambda x: through_codes(first(x) * first(x.flip(1)) + first(x), 2**-4, 100)), (1, 4, 5, 5), (),
    ),
    "float islands": Case(
        Written(lambda x, a: a(first(torch.softmax(x, 1))).sigmoid(), a=CodedConv(4, 8)),
        (1, 4, 5, 5), ("qconv 1x1, bias+sigmoid+float32",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_programs_compute_what_pytorch_does(name):
    case = CASES[name]
    extracted, found, expected = made(case)
    assert operators(extracted) == case.operators
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert not extracted.notes or name == "float islands"


def test_all_but_the_borders_is_codes():
    torch.manual_seed(0)
    extracted, _, _ = made(Case(CodedBranch(), (1, 3, 8, 8), ()))
    assert [line.split(" = ")[0] for line in graph_text(extracted.graph).splitlines()[:-1]] == [
        "t0 1x3x8x8",
        "t1 1x3x8x8 uint8 around 128",
        "t2 1x16x4x4 uint8",
        "t3 1x16x4x4 uint8",
        "t4 1x16x4x4 uint8",
        "t5 1x16x4x4 uint8 around 3",
        "t6 1x16x1x1",
        "t7 1x16 uint8 around 5",
        "t8 1x10",
    ]


@pytest.mark.parametrize(
    ("model", "shape", "why"),
    [
        (Written(lambda x, a: a(first(x)), a=CodedConv(4, 4, zero=3)), (1, 4, 3, 3), "zero point 0"),
        (Written(lambda x, a: a(x), a=CodedConv(4, 4)), (1, 4, 3, 3), "its input has no codes"),
        (Written(lambda x, a: a(first(x)), a=CodedLinear(70000, 1)), (1, 70000), "may not fit 32 bits"),
    ],
    ids=["zero point", "float input", "long sums"],
)
def test_layers_that_stay_float_say_why(model, shape, why):
    torch.manual_seed(0)
    extracted, found, expected = made(Case(model, shape, ()))
    (note,) = extracted.notes
    assert why in note
    assert "computes with float32" in note
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_weights_that_are_no_multiples_of_their_scales_stay_float():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = CodedWeight((4, 4, 1, 1))
            self.norm = nn.BatchNorm2d(4).eval()

        def forward(self, x: Tensor) -> Tensor:
            """Batch norms of any scale keep codes."""
            return self.norm(F.conv2d(first(x), self.weight()))

    torch.manual_seed(0)
    model = Masked()
    model.norm.weight.data = torch.tensor([0.3, -1.7, 2.0, 0.1])
    extracted, found, expected = made(Case(model, (1, 4, 3, 3), ()))
    assert operators(extracted) == ("qconv 1x1, bias+float32",)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_layers_of_codes_are_sums_of_products():
    """Of float32 Winograd's algorithm computes such a layer."""
    torch.manual_seed(0)
    model = Written(lambda x, a: a(first(x)), a=CodedConv(64, 64, 3, padding=1))
    target, x = resolve("x86-64-v3"), torch.randn(1, 64, 28, 28)
    (plain,) = analyse(import_model(nn.Conv2d(64, 64, 3, padding=1), (x,)), target, Options()).layers
    (coded,) = analyse(import_model(model, (x,)), target, Options()).layers
    assert plain.tile is not None
    assert coded.tile is None


@pytest.mark.parametrize("target", ["native", "rpi4"])
def test_a_library_of_codes_is_exact(target, tmp_path):
    torch.manual_seed(0)
    model = CodedBranch(density=0.5)
    x = torch.randn(2, 3, 9, 13)
    library = sparsecc.compile(model, target, example_inputs=(x,), dump=tmp_path)
    assert library.report.error == pytest.approx(0, abs=1e-6)
    assert any("codes are one step away" in note for note in library.report.notes)
    if target == "native":
        other = torch.randn(2, 3, 9, 13)
        np.testing.assert_allclose(np.asarray(library(other)), model(other).numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["pools", "dilated pools", "averages without padding", "branches", "residual", "linear of images"]
)
@pytest.mark.parametrize("target", RUNNABLE)
def test_no_kernel_reads_beyond_its_tensors(name, target):
    """Each tensor between pages that nobody may touch."""
    torch.manual_seed(0)
    model, shape, _ = CASES[name]
    x = torch.randn(shape)
    (found,) = run_strictly(compiled(model.eval(), (x,), target=target), (x,))
    np.testing.assert_allclose(found, model(x).numpy(), rtol=1e-6, atol=1e-6)


def test_a_forecast_has_the_kernels_of_a_compilation():
    torch.manual_seed(0)
    model, x = CodedBranch(density=0.5).eval(), torch.randn(2, 3, 9, 13)
    foreseen = forecast(model, "native", example_inputs=(x,))
    report = compiled(model, (x,)).report
    kernels = [[(s["key"], s["kind"], s["config"]) for s in one.steps] for one in (foreseen, report)]
    assert kernels[0] == kernels[1]
    assert foreseen.notes == report.notes
