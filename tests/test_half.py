"""Networks in half precision: compiled for a board, run by an emulator of its core; and what is refused."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from cli_case import document
from coded import CodedConv, through_codes
from torch import nn

import sparsecc
from sparsecc.errors import NotSupportedError, TargetError, UserError, VerificationError
from sparsecc.ir.layer import ConvLayer
from sparsecc.pipeline import bring_in, extract


def small() -> nn.Module:
    """Layers with all kinds of kernels, residuals, and operators that stay float32."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.pool = nn.Conv2d(3, 16, 3, 2, 1), nn.MaxPool2d(3, 2, 1)
            self.wide, self.deep = nn.Conv2d(16, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=32)
            self.back, self.same = nn.Conv2d(32, 16, 1), nn.Conv2d(16, 16, 3, padding=1)
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pool(torch.relu(self.stem(x)))
            x = x + self.back(torch.nn.functional.relu6(self.deep(torch.nn.functional.silu(self.wide(x)))))
            x = torch.cat([x, self.same(x)], 1)[:, :16]
            return torch.softmax(self.head(self.norm(x.mean((2, 3)))), 1)

    return Net().eval()


def test_network_in_the_emulator(tmp_path, capsys):
    model, x = small(), torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    compiled = sparsecc.compile(model, "rpi5", example_inputs=(x,), dtype="float16")
    report = compiled.report
    assert "in an emulator" in report.compared
    assert report.error <= 2e-3
    assert "in half precision (float16): 6 of 6 layers" in str(report)
    assert any("all within 4e-03" in note for note in report.notes)
    assert [port.dtype for port in (*compiled.inputs, *compiled.outputs)] == ["float32"] * 2
    compiled.save(tmp_path / "model.so")
    assert "Computes with: float16" in (tmp_path / "model.h").read_text()
    assert document(capsys, "inspect", tmp_path / "model.so")["dtype"] == "float16"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet18"])
def test_pruned_networks(name):
    """Weights take half of the space."""
    model = nets.build(name)
    nets.impose_1xn(model, 4, 0.75)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    half, single = (
        sparsecc.compile(model, "rpi5", example_inputs=(x,), dtype=dtype, winograd=False)
        for dtype in ("float16", "float32")
    )
    assert half.report.error <= 2e-3
    assert half.plan.totals.kept_bytes < 0.6 * single.plan.totals.kept_bytes


def test_layers_get_the_type_and_weights_that_fit():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()
    model[2].weight.data[0, 0] = 1e5
    network = extract(bring_in(model, (torch.zeros(1, 3, 8, 8),)), dtype="float16")
    kinds = {node.key: node.operator.dtype for node in network.graph.nodes if hasattr(node.operator, "layer")}
    assert list(kinds.values()) == ["float16", "float32", "float16"]
    (note,) = network.notes
    assert note == "layer 2 computes with float32: it has a weight of 1e+05, half precision at most 65504"
    weight = next(n.operator.layer.weight for n in network.graph.nodes if hasattr(n.operator, "layer"))
    np.testing.assert_array_equal(weight, weight.astype(np.float16).astype(np.float32))


def test_float32_is_left_alone():
    layers = bring_in(small(), (torch.zeros(1, 3, 40, 40),)).layers.values()
    assert {layer.dtype for layer in layers if isinstance(layer, ConvLayer)} == {"float32"}


def test_values_that_half_precision_cannot_hold():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1)).eval()
    model[0].weight.data.fill_(3e4)
    with pytest.raises(VerificationError, match=r"half precision: results of step layer_0 .* reach .* 65504"):
        sparsecc.compile(model, "rpi5", example_inputs=(torch.ones(1, 3, 8, 8) * 9,), dtype="float16")


@pytest.mark.parametrize("target", ["rpi4", "x86-64-v3", "rpi3-32"])
def test_targets_without_it(target):
    with pytest.raises(TargetError, match=f"target {target}: found no arithmetic in half precision .* rpi5"):
        sparsecc.compile(small(), target, example_inputs=(torch.zeros(1, 3, 40, 40),), dtype="float16")


def test_other_types():
    with pytest.raises(UserError, match="dtype: found 'bfloat16', expected 'float32' or 'float16'"):
        sparsecc.compile(small(), "rpi5", example_inputs=(torch.zeros(1, 3, 40, 40),), dtype="bfloat16")


def test_networks_of_codes():
    class Coded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = CodedConv(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return through_codes(self.conv(through_codes(x)))

    imported = bring_in(Coded().eval(), (torch.randn(1, 4, 4, 4),))
    with pytest.raises(NotSupportedError, match="found 'float16' for a network with layers of 8-bit codes"):
        extract(imported, dtype="float16")
