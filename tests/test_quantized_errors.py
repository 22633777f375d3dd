"""Quantized models that are refused, each with what was found and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from coded import OPS, CodedConv, CodedWeight, through_codes
from torch import Tensor, nn

from sparsecc.errors import ModelError, NotSupportedError, SparseccError
from sparsecc.importer import import_model

F = nn.functional


class Written(nn.Module):
    """A function of the input as a model."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """What the function gives."""
        return self.function(x, *self.layers)


def refused(model: nn.Module, kind: type[SparseccError], *, shape: tuple[int, ...] = (1, 4, 4, 4)) -> str:
    with pytest.raises(kind) as error:
        import_model(model, (torch.randn(shape),))
    return str(error.value)


def codes_of(x: Tensor, scale: float = 0.5, zero: int = 0) -> Tensor:
    return OPS.quantize_per_tensor(x, scale, zero, 0, 255, torch.uint8)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_scales_that_are_none(scale):
    message = refused(Written(lambda x: through_codes(x, scale)), ModelError)
    assert f"found the scale {scale}, expected a finite number above zero" in message


@pytest.mark.parametrize("zero", [-1, 256])
def test_zero_points_that_no_code_has(zero):
    model = Written(lambda x: OPS.dequantize_per_tensor(codes_of(x), 0.5, zero, 0, 255, torch.uint8))
    assert f"found the zero point {zero}, expected an integer of 0 to 255" in refused(model, ModelError)


def test_bounds_that_are_no_codes():
    model = Written(lambda x: OPS.dequantize_per_tensor(codes_of(x), 0.5, 0, 0, 300, torch.uint8))
    assert "found codes of 0 to 300, expected some of 0 to 255" in refused(model, ModelError)


def test_codes_of_another_type():
    def wide(x: Tensor) -> Tensor:
        codes = OPS.quantize_per_tensor(x, 0.5, 0, -32768, 32767, torch.int16)
        return OPS.dequantize_per_tensor(codes, 0.5, 0, -32768, 32767, torch.int16)

    message = refused(Written(wide), NotSupportedError)
    assert "torch.int16" in message
    assert "expected torch" in message


@pytest.mark.parametrize("scale", [0.0, math.nan])
def test_scales_of_weights_that_are_none(scale):
    layer = CodedConv(4, 4)
    layer.weight.scales[2] = scale
    message = refused(Written(lambda x, a: a(through_codes(x)), layer), ModelError)
    assert f"found the scale {scale} of weights, expected a finite number above zero" in message


def test_scales_that_depend_on_the_input():
    def dynamic(x: Tensor) -> Tensor:
        scale, zero = OPS.choose_qparams.tensor(x, 0, 255, 1e-6, torch.uint8)
        codes = OPS.quantize_per_tensor.tensor(x, scale, zero, 0, 255, torch.uint8)
        return OPS.dequantize_per_tensor.tensor(codes, scale, zero, 0, 255, torch.uint8)

    assert "dynamic quantization" in refused(Written(dynamic), NotSupportedError)
    own = Written(
        lambda x: OPS.dequantize_per_tensor.tensor(codes_of(x), x.max(), torch.tensor(0), 0, 255, torch.uint8)
    )
    assert "depends on the input (dynamic quantization)" in refused(own, NotSupportedError)


def test_scales_of_channels_and_of_tokens():
    def channels(x: Tensor) -> Tensor:
        scales, zeros = torch.ones(4), torch.zeros(4, dtype=torch.int64)
        codes = OPS.quantize_per_channel(x, scales, zeros, 1, 0, 255, torch.uint8)
        return OPS.dequantize_per_channel(codes, scales, zeros, 1, 0, 255, torch.uint8)

    def tokens(x: Tensor) -> Tensor:
        scales, zeros = torch.ones(1, 4, 4, 1), torch.zeros(1, 4, 4, 1, dtype=torch.int64)
        codes = OPS.quantize_per_token(x, scales, zeros, -128, 127, torch.int8)
        return OPS.dequantize_per_token(codes, scales, zeros, -128, 127, torch.int8, torch.float32)

    assert "of activations; expected quantize_per_tensor" in refused(Written(channels), NotSupportedError)
    assert "a scale for each token" in refused(Written(tokens), NotSupportedError)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (codes_of(x) + 1).float(),
        lambda x: (codes_of(x) > 3).float(),
        lambda x: F.relu(codes_of(x)).float(),
        lambda x: codes_of(x).float(),
    ],
    ids=["sum", "comparison", "activation", "type"],
)
def test_codes_that_nobody_dequantizes(function):
    message = refused(Written(function), NotSupportedError)
    assert "reads codes" in message or "gives torch.uint8, expected torch.float32" in message


def test_groups_of_weights_are_computed_in_float32():
    """Four bits and a scale for each group of 32: the weights are a constant, so the layer is right, in float32."""

    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.randint(-8, 8, (8, 64), dtype=torch.int8))
            self.register_buffer("scales", torch.rand(8, 2) + 0.5)
            self.register_buffer("zeros", torch.zeros(8, 2, dtype=torch.int32))

        def forward(self, x: Tensor) -> Tensor:
            """Multiply."""
            weight = OPS.dequantize_per_channel_group(
                self.codes, self.scales, self.zeros, -8, 7, torch.int8, 32, torch.float32
            )
            return F.linear(through_codes(x), weight)

    torch.manual_seed(0)
    imported = import_model(Grouped(), (torch.randn(2, 64),))
    (layer,) = imported.layers.values()
    assert layer.scales is None


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_eager_and_fx_quantized_modules():
    """What PyTorch's older flows make has operators of its own."""
    old = torch.ao.nn.quantized.Conv2d(4, 4, 1)
    assert "layer layers.0: found Conv2d, quantized layers are not supported" in refused(
        Written(lambda x, a: a(x), old), NotSupportedError
    )
    observed = torch.ao.quantization.MinMaxObserver()
    assert "found MinMaxObserver" in refused(Written(lambda x, a: a(x), observed), NotSupportedError)
    stub = Written(lambda x: torch.dequantize(torch.quantize_per_tensor(x, 0.5, 0, torch.quint8)))
    assert "quantize" in refused(stub, NotSupportedError)


def test_floats_of_8_bits():
    def narrow(x: Tensor) -> Tensor:
        return x.to(torch.float8_e4m3fn).to(torch.float32)

    assert "float8_e4m3fn" in refused(Written(narrow), NotSupportedError)


def test_weights_of_another_layout_have_no_codes():
    """Scales along the input channels are no scales of the output's."""
    model = Written(lambda x, w: F.conv2d(through_codes(x), w()), CodedWeight((8, 4, 1, 1), axis=1))
    imported = import_model(model, (torch.randn(1, 4, 2, 2),))
    assert [layer.scales for layer in imported.layers.values()] == [None]
