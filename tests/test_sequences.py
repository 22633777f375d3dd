"""One-dimensional layers: PyTorch's results for all arguments, and the two-dimensional kernels, sparse ones too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from graph_runner import fused, run_graph
from helpers import agree, close, kinds, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import impose_1xn
from operator_cases.norms import ChannelNorm, ResponseNorm, lively
from operator_cases.sequences import ChannelAttention
from torch import Tensor, nn

from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse
from sparsecc.target import resolve


@st.composite
def layers(draw: st.DrawFn) -> nn.Module:
    """A layer for six channels of 19 numbers, with any of its arguments."""
    kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding, groups = draw(st.integers(0, kernel // 2)), draw(st.sampled_from([1, 2, 3, 6]))
    counted, ceil, bias = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    return draw(
        st.sampled_from(
            [
                nn.Conv1d(6, 12, kernel, stride, padding, dilation, groups, bias),
                nn.ConvTranspose1d(6, 6, kernel, stride, padding, stride - 1, groups, bias, max(stride, dilation)),
                nn.MaxPool1d(kernel, stride, padding, dilation, ceil_mode=ceil),
                nn.AvgPool1d(kernel, stride, padding, ceil, counted),
                nn.AdaptiveMaxPool1d(kernel + stride),
                nn.AdaptiveAvgPool1d(kernel + stride),
            ]
        )
    )  # fmt: skip


@given(layer=layers())
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_results(layer):
    (x,) = random_inputs((2, 6, 19))
    _, extracted = fused(layer, x)
    values = run_graph(extracted.graph, extracted.module, [x.numpy()])
    with torch.no_grad():
        close(values[extracted.graph.outputs[0]], layer(x).numpy(), tolerance=2e-6)


def test_a_pooling_without_a_batch():
    (x,) = random_inputs((6, 9))
    _, extracted = fused(nn.MaxPool1d(2), x)
    values = run_graph(extracted.graph, extracted.module, [x.numpy()])
    close(values[extracted.graph.outputs[0]], nn.MaxPool1d(2)(x).numpy(), tolerance=0)


def test_what_follows_joins_a_convolution():
    """Batch norm, activation and sum, as in two dimensions."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv1d(8, 16, 3, padding=1), nn.Conv1d(16, 8, 3, padding=1)
            self.norm1, self.norm2 = nn.BatchNorm1d(16), nn.BatchNorm1d(8)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
            return (y + x).relu()

    _, extracted = fused(Block(), *random_inputs((2, 8, 21)))
    convolutions = [str(node.operator) for node in extracted.graph.nodes if node.operator.kernel == "conv"]
    assert convolutions == ["conv 1x3, bias+relu", "conv 1x3, bias+residual+relu"]
    assert not any(node.operator.kernel == "generic" for node in extracted.graph.nodes)


@pytest.mark.parametrize("rearrange", [False, True])
def test_pruned_ones_are_sparse(rearrange):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(8, 32, 3, padding=1), nn.ReLU(), nn.Conv1d(32, 32, 3, padding=1), nn.MaxPool1d(2),
        nn.Conv1d(32, 16, 1),
    )  # fmt: skip
    for layer in (model[2], model[4]):
        image = nn.Sequential(nn.Conv2d(32, layer.out_channels, (1, layer.kernel_size[0])))
        image[0].weight.data = layer.weight.data[:, :, None].clone()
        impose_1xn(image, 4, 0.75, rearrange=rearrange, include=["0"])
        layer.weight.data = image[0].weight.data[:, :, 0]
    inputs = random_inputs((1, 8, 400))
    plan = analyse(import_model(model.eval(), inputs), resolve("x86-64-v3"), Options())
    found = {layer.key: layer for layer in plan.layers}
    assert [found[key].structure.block_n for key in ("layer_2", "layer_4")] == [4, 4]
    assert [found[key].decision for key in ("layer_2", "layer_4")] == ["sparse", "sparse"]
    agree(model, (1, 8, 400))


class ConvNeXtBlock(nn.Module):
    """As ConvNeXt has it, with linear layers on the last axis; ``response`` as its second version."""

    def __init__(self, channels: int, *, response: bool = False) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.response = ResponseNorm(4 * channels, channels_last=True) if response else nn.Identity()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the same."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.down(self.response(nn.functional.gelu(self.up(y))))
        return x + (self.scale * y).permute(0, 3, 1, 2)


class PoolFormerBlock(nn.Module):
    """As PoolFormer has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.mlp = nn.Sequential(nn.Conv2d(channels, 32, 1), nn.GELU(), nn.Conv2d(32, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the same."""
        y = self.norm1(x)
        x = x + self.pool(y) - y
        return x + self.mlp(self.norm2(x))


class CrossAttentionBlock(nn.Module):
    """As EdgeNeXt has it: attention among channels, of normalized queries and keys."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels)
        self.project, self.temperature = nn.Linear(channels, channels), nn.Parameter(torch.ones(2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the same."""
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(tokens)).reshape(n, h * w, 3, 2, c // 2).permute(2, 0, 3, 4, 1).unbind(0)
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        y = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(-1) @ v
        y = self.project(y.permute(0, 3, 1, 2).reshape(n, h * w, c))
        return (tokens + y).transpose(1, 2).reshape(n, c, h, w)


def test_blocks_of_networks():
    """One after another, with the weights that they have in training."""
    blocks: list[Any] = [
        nn.Conv2d(3, 16, 4, 4), ChannelNorm(16, "permuted"), ConvNeXtBlock(16), ConvNeXtBlock(16, response=True),
        PoolFormerBlock(16), nn.Conv2d(16, 16, 3, padding=1), ChannelAttention(), CrossAttentionBlock(16),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 10),
    ]  # fmt: skip
    model = nn.Sequential(*blocks).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name or "response" in name:
            parameter.data.uniform_(0.5, 1.5)
    artefact = agree(model, (1, 3, 36, 44), tolerance=1e-4)
    assert kinds(artefact).count("norm") == 7


def test_norms_of_sequences_stay_images():
    _, extracted = fused(lively(lambda: nn.Sequential(nn.Conv1d(6, 8, 3), nn.GroupNorm(2, 8), nn.Conv1d(8, 4, 1)))(),
                         *random_inputs((1, 6, 20)))  # fmt: skip
    assert [node.operator.kernel for node in extracted.graph.nodes if node.operator.kernel] == ["conv", "norm", "conv"]
    assert np.prod(extracted.graph.shapes[extracted.graph.outputs[0]]) == 4 * 18
