"""Every operator as a tiny network: name, module, shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Shape = tuple[int, ...]


class OperatorCase(NamedTuple):
    """A network to compile and compare; ``make`` gives the module, or a function of tensors that stands for one."""

    name: str
    make: Callable[[], nn.Module]
    shapes: Sequence[Shape]


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """Apply it."""
        return self.function(*inputs)


class Together(nn.Module):
    """The networks of several cases side by side: the inputs of all, and a list of each one's results."""

    def __init__(self, cases: Sequence[OperatorCase]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(case.make() for case in cases)
        self.counts = [len(case.shapes) for case in cases]

    def forward(self, *inputs: Tensor) -> list[Any]:
        """Apply each to its own inputs."""
        rest = iter(inputs)
        return [part(*(next(rest) for _ in range(count))) for part, count in zip(self.parts, self.counts, strict=True)]


def module(name: str, make: Callable[[], nn.Module], *shapes: Shape) -> OperatorCase:
    """A module made with seeded weights."""
    return OperatorCase(name, make, shapes)


def function(name: str, compute: Callable[..., Any], *shapes: Shape) -> OperatorCase:
    """A function of tensors."""
    return OperatorCase(name, lambda: Function(compute), shapes)


IMAGE = (2, 6, 9, 11)
ODD = (1, 5, 13, 7)

CONVOLUTIONS = [
    module("conv", lambda: nn.Conv2d(6, 8, 3), IMAGE),
    module("conv_no_bias", lambda: nn.Conv2d(6, 8, 3, padding=1, bias=False), IMAGE),
    module("conv_same", lambda: nn.Conv2d(6, 8, (2, 5), padding="same", dilation=(3, 1)), IMAGE),
    module("conv_valid", lambda: nn.Conv2d(6, 8, 3, padding="valid"), IMAGE),
    module("conv_groups", lambda: nn.Conv2d(6, 9, 3, (2, 1), (0, 2), (1, 2), 3), IMAGE),
    module("conv_depthwise", lambda: nn.Conv2d(6, 6, 5, padding=2, groups=6), IMAGE),
    module("conv_depthwise_twice", lambda: nn.Conv2d(6, 12, 3, 2, 1, groups=6), IMAGE),
    module("conv_depthwise_dilated", lambda: nn.Conv2d(6, 6, 3, 1, 2, 2, 6), IMAGE),
    module("conv_one_pixel", lambda: nn.Conv2d(6, 8, 3, padding=1), (2, 6, 1, 1)),
    module("conv_kernel_covers_image", lambda: nn.Conv2d(6, 8, (9, 11)), IMAGE),
    module("conv_kernel_beyond_image", lambda: nn.Conv2d(6, 8, 7, padding=3), (1, 6, 2, 3)),
    module("conv_1x1_stride_2", lambda: nn.Conv2d(6, 8, 1, 2), IMAGE),
    module("conv_1x1_padded", lambda: nn.Conv2d(6, 8, 1, padding=(2, 1)), IMAGE),
    module("conv_stride_over_image", lambda: nn.Conv2d(6, 8, 1, 20), IMAGE),
    module("conv_width_1", lambda: nn.Conv2d(6, 8, 3, padding=1), (1, 6, 9, 1)),
    module("conv_height_1", lambda: nn.Conv2d(6, 8, 3, 2, padding=1), (1, 6, 1, 9)),
    function("conv_functional_mask", lambda x: F.conv2d(x, torch.ones(4, 6, 1, 1) * 0.5), IMAGE),
    module("conv_padding_circular_off", lambda: nn.Conv2d(6, 8, 3, padding=1, padding_mode="zeros"), IMAGE),
    module("pad_then_conv", lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(6, 8, 3, 2)), IMAGE),
    module("pad_then_padded_conv", lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(6, 8, 3, padding=2)), IMAGE),
    module("crop_then_conv", lambda: nn.Sequential(nn.ZeroPad2d((-1, 1, 0, -2)), nn.Conv2d(6, 8, 3)), IMAGE),
    module("pad_one_then_conv", lambda: nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(6, 8, 3)), IMAGE),
    module("linear", lambda: nn.Linear(11, 7), (3, 11)),
    module("linear_no_bias", lambda: nn.Linear(11, 7, bias=False), (1, 11)),
    module("linear_on_images", lambda: nn.Linear(11, 7), IMAGE),
    module("linear_on_sequences", lambda: nn.Linear(11, 7), (2, 5, 11)),
    module("linear_wide", lambda: nn.Linear(40, 130), (9, 40)),
    module("linear_to_one", lambda: nn.Linear(11, 1), (5, 11)),
    module("linear_vector", lambda: nn.Linear(11, 3), (11,)),
]

_TRANSPOSED: list[tuple[str, tuple[int, int], dict[str, Any]]] = [
    ("plain", (6, 8), {"kernel_size": 3}),
    ("stride_2", (6, 8), {"kernel_size": 2, "stride": 2}),
    ("stride_2_overlap", (6, 8), {"kernel_size": 4, "stride": 2, "padding": 1}),
    ("stride_2_output_padding", (6, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
    ("stride_3", (6, 8), {"kernel_size": 5, "stride": 3, "padding": 2, "output_padding": (2, 0)}),
    ("stride_2x1", (6, 8), {"kernel_size": (4, 3), "stride": (2, 1), "padding": (1, 0)}),
    ("stride_over_kernel", (6, 8), {"kernel_size": 2, "stride": 4}),
    ("dilated", (6, 8), {"kernel_size": 3, "dilation": 2, "padding": 1}),
    ("dilated_stride_2", (6, 8), {"kernel_size": 3, "stride": 2, "dilation": (3, 2), "output_padding": 1}),
    ("groups", (6, 9), {"kernel_size": 3, "stride": 2, "groups": 3, "padding": 1}),
    ("depthwise", (6, 6), {"kernel_size": 4, "stride": 2, "groups": 6, "padding": 1}),
    ("no_bias", (6, 8), {"kernel_size": 2, "stride": 2, "bias": False}),
    ("padding_over_kernel", (6, 8), {"kernel_size": 2, "stride": 2, "padding": 2}),
    ("to_one", (6, 1), {"kernel_size": 2, "stride": 2}),
]

TRANSPOSED = [
    *(
        module(f"transposed_{name}", lambda c=channels, k=options: nn.ConvTranspose2d(*c, **k), (2, 6, 5, 4))
        for name, channels, options in _TRANSPOSED
    ),
    module("transposed_one_pixel", lambda: nn.ConvTranspose2d(6, 8, 4), (1, 6, 1, 1)),
    function(
        "transposed_output_size",
        lambda x: F.conv_transpose2d(x, torch.ones(6, 2, 3, 3), stride=2, output_padding=1),
        (1, 6, 5, 4),
    ),
    module("transposed_then_relu", lambda: nn.Sequential(nn.ConvTranspose2d(6, 4, 2, 2), nn.ReLU()), (1, 6, 5, 4)),
]

POOLS = [
    module("max_pool", lambda: nn.MaxPool2d(2), IMAGE),
    module("max_pool_padded", lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    module("max_pool_stride_1", lambda: nn.MaxPool2d(5, 1, 2), IMAGE),
    module("max_pool_stride_1_valid", lambda: nn.MaxPool2d(3, 1), IMAGE),
    module("max_pool_ceil", lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (1, 6, 10, 12)),
    module("max_pool_ceil_padded", lambda: nn.MaxPool2d((3, 2), (3, 2), (1, 0), ceil_mode=True), IMAGE),
    module("max_pool_dilated", lambda: nn.MaxPool2d(3, 2, 1, dilation=2), IMAGE),
    module("max_pool_dilated_ceil", lambda: nn.MaxPool2d(2, 3, 1, dilation=3, ceil_mode=True), IMAGE),
    module("max_pool_stride_over_kernel", lambda: nn.MaxPool2d(2, 4), IMAGE),
    module("max_pool_whole", lambda: nn.MaxPool2d((9, 11)), IMAGE),
    function("max_pool_negative", lambda x: F.max_pool2d(-x.abs() - 1, 3, 2, 1), IMAGE),
    function("max_pool_of_relu", lambda x: F.max_pool2d(F.relu(x), 3, 1, 1), IMAGE),
    module("avg_pool", lambda: nn.AvgPool2d(2), IMAGE),
    module("avg_pool_padded", lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    module("avg_pool_padding_uncounted", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    module("avg_pool_stride_1_uncounted", lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False), IMAGE),
    module("avg_pool_ceil", lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (1, 6, 10, 12)),
    module("avg_pool_ceil_padded", lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 6, 10, 12)),
    module("avg_pool_ceil_uncounted", lambda: nn.AvgPool2d((4, 3), (3, 2), (2, 1), True, False), (1, 6, 10, 12)),
    module("avg_pool_divisor", lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5), IMAGE),
    module("avg_pool_divisor_ceil", lambda: nn.AvgPool2d(3, 2, 1, True, False, 7), IMAGE),
    module("avg_pool_whole", lambda: nn.AvgPool2d((9, 11)), IMAGE),
    module(
        "avg_pool_padded_between", lambda: nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(6, 4, 3, padding=1)), IMAGE
    ),
    module("adaptive_avg_1", lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    module("adaptive_avg_divides", lambda: nn.AdaptiveAvgPool2d((3, 4)), (2, 6, 9, 12)),
    module("adaptive_avg_uneven", lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    module("adaptive_avg_keeps_an_axis", lambda: nn.AdaptiveAvgPool2d((None, 1)), IMAGE),
    module("adaptive_avg_enlarges", lambda: nn.AdaptiveAvgPool2d(7), (1, 6, 3, 5)),
    module("adaptive_avg_same", lambda: nn.AdaptiveAvgPool2d((9, 11)), IMAGE),
    module("adaptive_max_1", lambda: nn.AdaptiveMaxPool2d(1), IMAGE),
    module("adaptive_max_divides", lambda: nn.AdaptiveMaxPool2d((3, 4)), (2, 6, 9, 12)),
    function("mean_of_image", lambda x: x.mean((2, 3)), IMAGE),
    function("mean_of_image_kept", lambda x: x.mean((-1, -2), keepdim=True), IMAGE),
    function("mean_of_channels", lambda x: x.mean(1, keepdim=True), IMAGE),
    function("mean_of_rows", lambda x: x.mean(2), IMAGE),
    function("mean_of_features", lambda x: x.mean(-1), (3, 11)),
    function("mean_of_all_axes", lambda x: x.mean((0, 1, 2, 3)), IMAGE),
    function("mean_of_everything", lambda x: x.mean(), IMAGE),
    function("sum_of_channels", lambda x: x.sum(1), IMAGE),
    function("sum_of_image", lambda x: x.sum((2, 3), keepdim=True), IMAGE),
]

ACTIVATIONS = [
    module("relu", nn.ReLU, IMAGE),
    module("relu_inplace", lambda: nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(inplace=True)), IMAGE),
    module("relu6", nn.ReLU6, IMAGE),
    module("hardtanh", lambda: nn.Hardtanh(-0.3, 0.7), IMAGE),
    module("leaky_relu", lambda: nn.LeakyReLU(0.2), IMAGE),
    module("leaky_relu_default", nn.LeakyReLU, IMAGE),
    module("hardswish", nn.Hardswish, IMAGE),
    module("hardsigmoid", nn.Hardsigmoid, IMAGE),
    module("sigmoid", nn.Sigmoid, IMAGE),
    module("silu", nn.SiLU, IMAGE),
    module("tanh", nn.Tanh, IMAGE),
    module("gelu", nn.GELU, IMAGE),
    module("gelu_tanh", lambda: nn.GELU("tanh"), IMAGE),
    module("mish", nn.Mish, IMAGE),
    module("elu", lambda: nn.ELU(0.7), IMAGE),
    module("selu", nn.SELU, IMAGE),
    module("celu", lambda: nn.CELU(0.5), IMAGE),
    module("softplus", lambda: nn.Softplus(2.0, 5.0), IMAGE),
    module("prelu_one", lambda: nn.PReLU(init=0.3), IMAGE),
    module("prelu_negative", lambda: nn.PReLU(init=-0.3), IMAGE),
    module("prelu_many", lambda: _prelu(6), IMAGE),
    module("prelu_features", lambda: _prelu(11), (3, 11)),
    module("prelu_after_conv", lambda: nn.Sequential(nn.Conv2d(6, 8, 3), _prelu(8)), IMAGE),
    module("prelu_one_after_conv", lambda: nn.Sequential(nn.Conv2d(6, 8, 3), nn.PReLU(init=-0.5)), IMAGE),
    function("clamp", lambda x: x.clamp(-0.5, 0.25), IMAGE),
    function("clamp_low", lambda x: x.clamp(min=-0.5), IMAGE),
    function("clamp_high", lambda x: x.clamp(max=0.5), IMAGE),
    function("clamp_min", lambda x: torch.clamp_min(x, 0.1), IMAGE),
    function("clamp_max", lambda x: torch.clamp_max(x, 0.1), IMAGE),
    function("softmax_last", lambda x: x.softmax(-1), (3, 11)),
    function("softmax_channels", lambda x: x.softmax(1), IMAGE),
    function("softmax_rows", lambda x: x.softmax(2), IMAGE),
    function("softmax_batch", lambda x: x.softmax(0), (3, 11)),
    function("softmax_large", lambda x: (1000 * x).softmax(1), (3, 11)),
    function("softmax_after_conv", lambda x: F.conv2d(x, torch.ones(3, 6, 1, 1)).softmax(1), IMAGE),
    function("log_softmax", lambda x: x.log_softmax(1), (3, 11)),
    function("activations_at_extremes", lambda x: (x * 100).sigmoid() + (x * 100).tanh() + F.mish(x * 100), IMAGE),
    function("glu", lambda x: F.glu(x, 1), IMAGE),
]


def _prelu(channels: int) -> nn.PReLU:
    layer = nn.PReLU(channels)
    layer.weight.data = torch.linspace(-0.5, 1.5, channels)
    return layer


ARITHMETIC = [
    function("add", lambda x, y: x + y, IMAGE, IMAGE),
    function("add_alpha", lambda x, y: torch.add(x, y, alpha=3), IMAGE, IMAGE),
    function("add_number", lambda x: x + 2, IMAGE),
    function("number_add_alpha", lambda x: torch.add(x, 2, alpha=3), IMAGE),
    function("add_itself", lambda x: x + x, IMAGE),
    function("add_broadcast", lambda x, y: x + y, IMAGE, (6, 1, 1)),
    function("add_broadcast_columns", lambda x, y: x + y, IMAGE, (11,)),
    function("add_broadcast_batch", lambda x, y: x + y, IMAGE, (1, 6, 9, 11)),
    function("sub", lambda x, y: x - y, IMAGE, IMAGE),
    function("sub_alpha", lambda x, y: torch.sub(x, y, alpha=2), IMAGE, IMAGE),
    function("sub_number", lambda x: x - 0.5, IMAGE),
    function("rsub", lambda x: 1 - x, IMAGE),
    function("rsub_alpha", lambda x: torch.rsub(x, 1, alpha=2), IMAGE),
    function("mul", lambda x, y: x * y, IMAGE, IMAGE),
    function("mul_number", lambda x: x * 3, IMAGE),
    function("mul_gate", lambda x, y: x * y, IMAGE, (2, 6, 1, 1)),
    function("div", lambda x, y: x / (y.abs() + 1), IMAGE, IMAGE),
    function("div_number", lambda x: x / 3, IMAGE),
    function("number_div", lambda x: 1 / (x.abs() + 1), IMAGE),
    function("true_divide", lambda x, y: torch.true_divide(x, y.abs() + 1), IMAGE, IMAGE),
    function("neg", lambda x: -x, IMAGE),
    function("abs", lambda x: x.abs(), IMAGE),
    function("exp", lambda x: x.exp(), IMAGE),
    function("log", lambda x: (x.abs() + 0.1).log(), IMAGE),
    function("erf", lambda x: x.erf(), IMAGE),
    function("sqrt", lambda x: x.abs().sqrt(), IMAGE),
    function("rsqrt", lambda x: (x.abs() + 0.1).rsqrt(), IMAGE),
    function("reciprocal", lambda x: (x.abs() + 0.1).reciprocal(), IMAGE),
    function("square", lambda x: x.square(), IMAGE),
    function("power_2", lambda x: x**2, IMAGE),
    function("power_3", lambda x: x**3, IMAGE),
    function("power_half", lambda x: x.abs() ** 0.5, IMAGE),
    function("power_negative", lambda x: (x.abs() + 0.1) ** -1.5, IMAGE),
    function("maximum", torch.maximum, IMAGE, IMAGE),
    function("minimum", torch.minimum, IMAGE, IMAGE),
    function("matmul", torch.matmul, (3, 5), (5, 4)),
    function("mm", torch.mm, (3, 5), (5, 4)),
    function("mm_constant", lambda x: torch.mm(x, torch.arange(20.0).reshape(5, 4)), (3, 5)),
    function("addmm", lambda x: torch.addmm(torch.ones(4), x, torch.arange(20.0).reshape(5, 4)), (3, 5)),
    function("bmm", torch.bmm, (2, 3, 5), (2, 5, 4)),
    function("matmul_of_images", torch.matmul, (2, 3, 5, 7), (2, 3, 7, 4)),
    function("add_constant", lambda x: x + torch.ones(6, 1, 1), IMAGE),
    function("add_constant_plane", lambda x: x + torch.arange(99.0).reshape(9, 11), IMAGE),
    function("mul_double_number", lambda x: x * torch.tensor(2.5, dtype=torch.float64), IMAGE),
    function("softsign", F.softsign, IMAGE),
]

SHAPES = [
    function("cat_channels", lambda x, y: torch.cat([x, y, x], 1), IMAGE, (2, 3, 9, 11)),
    function("cat_rows", lambda x, y: torch.cat([x, y], 2), IMAGE, (2, 6, 4, 11)),
    function("cat_columns", lambda x, y: torch.cat([x, y], -1), IMAGE, (2, 6, 9, 2)),
    function("cat_batches", lambda x, y: torch.cat([x, y], 0), IMAGE, (1, 6, 9, 11)),
    function("cat_features", lambda x, y: torch.cat([x, y], 1), (3, 11), (3, 4)),
    function("cat_one", lambda x: torch.cat([x], 1), IMAGE),
    function("cat_zeros_like", lambda x: torch.cat([x, torch.zeros_like(x), x.new_ones(2, 1, 9, 11)], 1), IMAGE),
    function("cat_constant", lambda x: torch.cat([x, torch.ones(2, 1, 9, 11)], 1), IMAGE),
    function("stack", lambda x, y: torch.stack([x, y], 1), (3, 11), (3, 11)),
    function("split", lambda x: torch.split(x, 2, 1), IMAGE),
    function("split_uneven", lambda x: torch.split(x, 4, 1), IMAGE),
    function("split_sizes", lambda x: torch.split(x, [1, 3, 2], 1), IMAGE),
    function("split_columns", lambda x: torch.split(x, 4, -1), IMAGE),
    function("chunk", lambda x: x.chunk(2, 1), IMAGE),
    function("chunk_uneven", lambda x: x.chunk(4, 2), IMAGE),
    function("chunk_more_than_there_are", lambda x: x.chunk(9, 1), IMAGE),
    function("chunk_used_apart", lambda x: x.chunk(2, 1)[1].relu(), IMAGE),
    function("unbind", lambda x: torch.unbind(x, 1)[2], IMAGE),
    function("slice", lambda x: x[:, 1:4], IMAGE),
    function("slice_step", lambda x: x[:, ::2, 1::3, -9::4], IMAGE),
    function("slice_negative", lambda x: x[:, :, -4:-1, :-2], IMAGE),
    function("slice_beyond", lambda x: x[:, :, 2:100], IMAGE),
    function("slice_all", lambda x: x[:, :], IMAGE),
    function("select", lambda x: x[:, 2], IMAGE),
    function("select_last", lambda x: x[..., -1], IMAGE),
    function("narrow", lambda x: x.narrow(2, 3, 4), IMAGE),
    function("reshape", lambda x: x.reshape(2, 3, 2, 99), IMAGE),
    function("view", lambda x: x.view(2, -1), IMAGE),
    function("flatten", lambda x: x.flatten(1), IMAGE),
    function("flatten_middle", lambda x: x.flatten(1, 2), IMAGE),
    function("unflatten", lambda x: x.unflatten(1, (2, 3)), IMAGE),
    function("squeeze", lambda x: x.squeeze(), (1, 6, 1, 11)),
    function("squeeze_axis", lambda x: x.squeeze(2), (2, 6, 1, 11)),
    function("squeeze_axes", lambda x: x.squeeze((2, 3)), (2, 6, 1, 1)),
    function("unsqueeze", lambda x: x.unsqueeze(-1).unsqueeze(1), (3, 11)),
    function("permute", lambda x: x.permute(0, 2, 3, 1), IMAGE),
    function("permute_negative", lambda x: x.permute(0, -1, 1, 2), IMAGE),
    function("transpose", lambda x: x.transpose(1, -1), IMAGE),
    function("matrix_transpose", lambda x: x.t(), (3, 11)),
    function("channel_shuffle", lambda x: x.view(2, 3, 2, 9, 11).transpose(1, 2).reshape(2, 6, 9, 11), IMAGE),
    module("channel_shuffle_module", lambda: nn.ChannelShuffle(3), IMAGE),
    module("pixel_shuffle", lambda: nn.PixelShuffle(2), (2, 12, 3, 5)),
    module("pixel_unshuffle", lambda: nn.PixelUnshuffle(3), (2, 2, 9, 6)),
    function("expand", lambda x: x.expand(-1, 6, 9, -1), (2, 6, 1, 11)),
    function("repeat", lambda x: x.repeat(1, 2, 1, 3), IMAGE),
    function("flip", lambda x: x.flip(3), IMAGE),
    function("roll", lambda x: x.roll(2, 3), IMAGE),
    function("contiguous", lambda x: x.permute(0, 2, 3, 1).contiguous(), IMAGE),
    function("clone", lambda x: x.clone(), IMAGE),
    function("detach", lambda x: x.detach() * 1, IMAGE),
    module("dropout", lambda: nn.Sequential(nn.Dropout(), nn.Dropout2d(), nn.Identity()), IMAGE),
    function("to_float", lambda x: x.float().to(torch.float32) * 2, IMAGE),
    function("pad", lambda x: F.pad(x, (1, 2, 3, 0)), IMAGE),
    function("pad_value", lambda x: F.pad(x, (1, 2), value=-1.5), IMAGE),
    function("pad_negative", lambda x: F.pad(x, (-1, 2, 3, -4)), IMAGE),
    function("pad_crop", lambda x: F.pad(x, (-1, -2)), IMAGE),
    function("pad_channels", lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), IMAGE),
    function("pad_nothing", lambda x: F.pad(x, (0, 0)), IMAGE),
    function("pad_minus_infinity", lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-float("inf")), 2), IMAGE),
]

_UPSAMPLED: list[tuple[str, dict[str, Any]]] = [
    ("nearest_2", {"scale_factor": 2}),
    ("nearest_fraction", {"scale_factor": (1.7, 2.3)}),
    ("nearest_smaller", {"scale_factor": 0.6}),
    ("nearest_size", {"size": (13, 7)}),
    ("nearest_recomputed", {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ("bilinear_2", {"scale_factor": 2, "mode": "bilinear"}),
    ("bilinear_fraction", {"scale_factor": (1.7, 2.3), "mode": "bilinear", "align_corners": False}),
    ("bilinear_smaller", {"scale_factor": 0.6, "mode": "bilinear"}),
    ("bilinear_size", {"size": (13, 7), "mode": "bilinear"}),
    ("bilinear_aligned_2", {"scale_factor": 2, "mode": "bilinear", "align_corners": True}),
    ("bilinear_aligned_size", {"size": (4, 25), "mode": "bilinear", "align_corners": True}),
    ("bilinear_aligned_to_one", {"size": (1, 5), "mode": "bilinear", "align_corners": True}),
    ("bilinear_recomputed", {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True}),
    ("area", {"size": (3, 11), "mode": "area"}),
]

UPSAMPLING = [
    *(function(f"interpolate_{n}", lambda x, k=options: F.interpolate(x, **k), IMAGE) for n, options in _UPSAMPLED),
    function("interpolate_one_pixel", lambda x: F.interpolate(x, size=(4, 3), mode="bilinear"), (1, 6, 1, 1)),
    module("upsample_between_convs", lambda: _between(nn.Upsample(scale_factor=2)), IMAGE),
    module("upsample_bilinear_between_convs", lambda: _between(nn.UpsamplingBilinear2d(scale_factor=2)), IMAGE),
]


def _between(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), middle, nn.Conv2d(4, 5, 3, padding=1))


def _after(layer: nn.Module, norm: nn.Module) -> nn.Module:
    return nn.Sequential(layer, _lively(norm))


def _before(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(_lively(nn.BatchNorm2d(6)), *layers)


def _lively(norm: nn.Module) -> nn.Module:
    """A batch norm with statistics and weights that are not all the same."""
    count = norm.num_features
    norm.running_mean.data = torch.linspace(-1, 1, count)
    norm.running_var.data = torch.linspace(0.2, 3, count)
    if norm.affine:
        norm.weight.data = torch.linspace(-1, 2, count)
        norm.bias.data = torch.linspace(1, -2, count)
    return norm


class LinearNorm3d(nn.Module):
    """A batch norm whose channels are not the features of the linear layer before it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(11, 6), _lively(nn.BatchNorm1d(6))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 6, 11) to (n, 6, 6)."""
        return self.norm(self.linear(x))


class NormUsedTwice(nn.Module):
    """A convolution whose result is also used without its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(6, 4, 1), _lively(nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 6, h, w) to (n, 4, h, w)."""
        y = self.conv(x)
        return y + self.norm(y)


BATCH_NORMS = [
    module("bn_after_conv", lambda: _after(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8)), IMAGE),
    module(
        "bn_after_conv_no_bias",
        lambda: _after(nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8)),
        IMAGE,
    ),
    module("bn_without_affine", lambda: _after(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8, affine=False)), IMAGE),
    module(
        "bn_before_padded_conv", lambda: nn.Sequential(_lively(nn.BatchNorm2d(6)), nn.Conv2d(6, 8, 3, padding=1)), IMAGE
    ),
    module(
        "bn_before_relu_conv", lambda: nn.Sequential(_lively(nn.BatchNorm2d(6)), nn.ReLU(), nn.Conv2d(6, 8, 1)), IMAGE
    ),
    module("bn_after_depthwise", lambda: _after(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6)), IMAGE),
    module("bn_after_groups", lambda: _after(nn.Conv2d(6, 9, 3, groups=3), nn.BatchNorm2d(9)), IMAGE),
    module(
        "bn_after_transposed",
        lambda: _after(nn.ConvTranspose2d(6, 4, 3, 2, groups=2), nn.BatchNorm2d(4)),
        IMAGE,
    ),
    module("bn_after_linear", lambda: _after(nn.Linear(11, 7), nn.BatchNorm1d(7)), (3, 11)),
    module("bn_after_linear_on_sequences", LinearNorm3d, (2, 6, 11)),
    module("bn_after_pool", lambda: _after(nn.MaxPool2d(2), nn.BatchNorm2d(6)), IMAGE),
    module(
        "bn_twice",
        lambda: nn.Sequential(nn.Conv2d(6, 8, 1), _lively(nn.BatchNorm2d(8)), _lively(nn.BatchNorm2d(8))),
        IMAGE,
    ),
    module("bn_alone", lambda: _lively(nn.BatchNorm2d(6)), IMAGE),
    module("bn_of_features", lambda: _lively(nn.BatchNorm1d(11)), (3, 11)),
    module("bn_beside_its_input", NormUsedTwice, IMAGE),
]

NETWORK_SHAPES = [
    function("two_outputs", lambda x: (x + 1, x * 2), IMAGE),
    function("list_of_outputs", lambda x: [x + 1, x * 2], IMAGE),
    function("nested_outputs", lambda x: {"a": x + 1, "b": (x * 2, [x - 1])}, IMAGE),
    function("three_inputs", lambda x, y, z: x * y + z, IMAGE, IMAGE, IMAGE),
    function("unused_input", lambda x, y: x + 1, IMAGE, (3, 2)),
    function("output_is_input", lambda x: (x, x + 1), IMAGE),
    function("output_is_only_input", lambda x: x, IMAGE),
    function("output_twice", lambda x: (lambda y: (y, y))(x + 1), IMAGE),
    function("input_twice", lambda x: (x, x), IMAGE),
    function("output_is_view_of_input", lambda x: x.flatten(1), IMAGE),
    function("output_and_its_view", lambda x: (lambda y: (y, y.flatten(1), y.view(-1)))(x + 1), IMAGE),
    function("view_of_view", lambda x: x.view(2, 3, 2, 99).view(-1).view(11, 108), IMAGE),
    function("output_used_again", lambda x: (lambda y: (y, F.relu(y) + 1))(x - 0.5), IMAGE),
    function("constant_output", lambda x: (x, torch.ones(2, 3)), IMAGE),
    function("scalar_output", lambda x: x.sum((0, 1, 2, 3)), IMAGE),
    function("scalar_input", lambda x, y: x * y, IMAGE, ()),
    function("one_number", lambda x: x * 2 + 1, (1,)),
    function("rank_5", lambda x: x.relu() * 2, (2, 3, 2, 3, 5)),
]

#: tables whose cases do not disturb each other in one network
TABLES: dict[str, Sequence[OperatorCase]] = {
    "convolutions": CONVOLUTIONS,
    "transposed": TRANSPOSED,
    "pools": POOLS,
    "activations": ACTIVATIONS,
    "arithmetic": ARITHMETIC,
    "shapes": SHAPES,
    "upsampling": UPSAMPLING,
    "batch_norms": BATCH_NORMS,
}

OPERATORS = [*(case for table in TABLES.values() for case in table), *NETWORK_SHAPES]
