"""Inputs and outputs of other types than float32: bytes, integers, truth values, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sparsecc
from sparsecc.errors import NotSupportedError, VerificationError
from sparsecc.importer import import_model
from sparsecc.verify import labels

_RANDOM = torch.Generator().manual_seed(0)
TINY = torch.tensor([[1.0, 5.0, 5.0, float("nan")], [2.0, -1.0, 2.0, 0.0]])

#: name -> input
INPUTS: dict[str, Tensor] = {
    "u8": torch.randint(0, 256, (1, 3, 8, 9), dtype=torch.uint8, generator=_RANDOM),
    "i8": torch.randint(-128, 128, (2, 7), dtype=torch.int8, generator=_RANDOM),
    "i16": torch.randint(-9999, 9999, (2, 7), dtype=torch.int16, generator=_RANDOM),
    "i32": torch.randint(-5, 5, (2, 7), dtype=torch.int32, generator=_RANDOM),
    "i64": torch.tensor([[2**40 + 1, 2**40, 3], [4, -4, -(2**50)]]),
    "b": torch.rand(2, 7, generator=_RANDOM) > 0.5,
    "f": torch.randn(2, 7, generator=_RANDOM),
    "odd": TINY,
}
#: name -> what is computed of inputs by their names
RESULTS: dict[str, Callable[..., Any]] = {
    "scaled bytes": lambda u8, **_: u8 / 255,
    "normalized bytes": lambda u8, **_: (u8.float() / 255 - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / 0.25,
    "bytes as they are": lambda u8, **_: u8,
    "moved bytes": lambda u8, **_: u8.permute(0, 2, 3, 1)[:, ::2],
    "negative of an image": lambda u8, **_: 255 - u8,
    "sums beyond a byte": lambda u8, **_: u8 + 200,
    "planes": lambda u8, **_: u8.split(1, 1),
    "planes as floats": lambda u8, **_: [x.float() for x in u8.chunk(3, 1)],
    "bytes side by side": lambda u8, **_: torch.cat([u8, u8], 1),
    "bytes beside floats": lambda u8, **_: torch.cat([u8, u8.float()], 1),
    "small integers": lambda i8, i16, i32, **_: (i8.float() / 2, i16 * 0.5, i32.float() + i32, i32 * i32, i8 * 3),
    "large integers": lambda i64, **_: (i64.float(), i64 == 2**40, i64 > i64[:, :1], i64 + 1, i64 * -3, i64),
    "integers and a fraction": lambda i32, **_: i32 > 0.5,
    "other integers": lambda i64, **_: (i64.int(), i64.to(torch.uint8), i64.bool()),
    "truth values": lambda b, f, **_: (torch.where(b, f, f * 2), ~b, b, b.float(), b.long()),
    "masks": lambda f, **_: (f > 0, (f > 0).to(torch.uint8), f.isnan()),
    "toward zero": lambda f, **_: ((f * 10).long(), (f * 1e18).long(), (f * 1e7).long()),
    "toward zero as bytes": lambda f, **_: (f * 99).abs().clamp(0, 255).byte(),
    "labels": lambda f, **_: (f.argmax(), f.argmax(1), f.argmin(0, keepdim=True), f.argmax(keepdim=True)),
    "labels of equal and odd numbers": lambda odd, **_: (odd.argmax(1), odd.argmin(1), odd.argmin(0)),
    "extremes with places": lambda f, **_: (*f.max(1), *f.min(0, keepdim=True)),
    "sorted": lambda f, odd, **_: (*odd.sort(dim=1, stable=True), f[0, 0].sort().values, *odd.sort(dim=0, stable=True)),
    "sorted as zeros and NaN are": lambda odd, **_: odd.fmod(1).sort(descending=True, stable=True),
    "places in order": lambda f, **_: (f.argsort(0), f.argsort(1).float() * 2),
    "the largest": lambda f, **_: (*f.topk(3), *f.topk(1, 0, largest=False)),
    "few of many": lambda u8, **_: (u8.float().flatten() + torch.arange(216) / 1000).topk(3),
    "labels that are compared": lambda f, **_: (f.argmax(1) == 3, f.argmax(1) + 1, f.argmax(1).float()),
    "constants": lambda f, **_: (f, torch.arange(5), torch.tensor([True, False]), torch.tensor(-3, dtype=torch.int8)),
    "twice": lambda f, **_: (f.argmax(1),) * 2,
    "one number": lambda f, **_: f.argmax(1)[0],
}  # fmt: skip


class All(nn.Module):
    """Every result under its name."""

    def forward(self, *inputs: Tensor) -> dict[str, Any]:
        """Compute all."""
        given = dict(zip(INPUTS, inputs, strict=True))
        return {name: function(**given) for name, function in RESULTS.items()}


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """Apply it."""
        return self.function(*inputs)


def differences(found: Any, expected: Any, name: str) -> list[str]:
    """Where a result is another one than PyTorch's, or of another type."""
    if isinstance(expected, dict):
        return [line for key in expected for line in differences(found[key], expected[key], f"{name}/{key}")]
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=True)
        return [line for i, pair in enumerate(pairs) for line in differences(*pair, f"{name}[{i}]")]
    other = expected.numpy()
    same = found.dtype == other.dtype and np.allclose(found, other, rtol=1e-6, atol=1e-6, equal_nan=True)
    exact = np.issubdtype(other.dtype, np.floating) or np.array_equal(found, other)
    return [] if same and exact else [f"{name}: {found.dtype} {found}, expected {other.dtype} {other}"]


def test_results_have_pytorchs_types_and_values():
    inputs = tuple(INPUTS.values())
    net = sparsecc.compile(All().eval(), "x86-64-v3", example_inputs=inputs, verify=False)
    found = net(*(x.numpy() for x in inputs))
    assert differences(found, All()(*inputs), "") == []
    assert [port.dtype for port in net.inputs] == [x.numpy().dtype.name for x in inputs]
    assert net(*inputs)["labels"][1].dtype == torch.int64


def test_libraries_of_32_bits_need_no_functions_of_a_compiler(tmp_path):
    net = sparsecc.compile(All().eval(), "rpi2", example_inputs=tuple(INPUTS.values()), verify=False)
    net.save(tmp_path / "model.so")  # what is undefined is an error


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (lambda x: x // 2, (INPUTS["u8"],), "gives torch.uint8, expected torch.float32; convert its operands"),
        (lambda x: x.clamp(0, 3), (INPUTS["i32"],), "aten.clamp.default gives torch.int32, expected torch.float32"),
        (lambda x: x.sum(), (INPUTS["i32"],), "gives torch.int64, expected torch.float32"),
        (lambda x: torch.cat([x, torch.arange(7).view(1, 7)]), (INPUTS["f"].argmax(1, True).expand(2, 7),), "of integ"),
    ],
    ids=["division", "clamp", "sum", "with constants"],
)
def test_arithmetic_of_integers_that_is_refused(function, inputs, message):
    with pytest.raises(NotSupportedError) as caught:
        import_model(Function(function), inputs)
    assert message in str(caught.value)


def near_ties() -> tuple[nn.Module, Tensor]:
    """Two channels that are equal but for rounding in most pixels."""
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 2, 1, bias=False)
    with torch.no_grad():
        conv.weight[1] = conv.weight[0] * (1 + 1e-7)
    return nn.Sequential(conv, Function(lambda x: x.argmax(1))).eval(), torch.randn(1, 64, 40, 40)


def test_labels_that_rounding_decides(monkeypatch):
    model, x = near_ties()
    with pytest.raises(VerificationError, match=r"in \d+ of 1600 elements of output"):
        sparsecc.compile(model, "x86-64-v3", example_inputs=(x,))
    monkeypatch.setattr(labels, "MOST_DECIDED", 1.0)
    net = sparsecc.compile(model, "x86-64-v3", example_inputs=(x,))
    assert "given the numbers that the library's layers computed" in net.report.notes[-1]
