"""What the choice of Winograd's algorithm rests on, condition by condition, and the split into three steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from helpers import agree, random_inputs
from torch import nn

from sparsecc.artefact import Artefact
from sparsecc.importer import import_model
from sparsecc.lower.cost import winograd as cost
from sparsecc.pipeline import extract
from sparsecc.rewrite.winograd import input_key, output_key, split_winograd, winograd_origins

SHAPE = (1, 4, 12, 10)


def pruned(layer: nn.Conv2d) -> nn.Conv2d:
    """Three of four blocks of 4 output channels are zero."""
    layer.weight.data[:, 1:] = 0
    return layer


def pruned_by_tap(layer: nn.Conv2d) -> nn.Conv2d:
    """All but the middle tap of every kernel is zero."""
    middle = layer.weight.data[:, :, 1, 1].clone()
    layer.weight.data[:] = 0
    layer.weight.data[:, :, 1, 1] = middle
    return layer


def empty(layer: nn.Conv2d) -> nn.Conv2d:
    """No weight is left."""
    layer.weight.data[:] = 0
    return layer


def transposed() -> nn.Module:
    """Its phases are channels of a convolution with two by two taps."""
    return nn.ConvTranspose2d(4, 8, 4, stride=2, padding=1)


class First(nn.Module):
    """Convolution of the first channel alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x[:, :1])


#: condition -> a layer where nothing but that condition forbids it
LEFT: dict[str, Callable[[], nn.Module]] = {
    "one_tap": lambda: nn.Conv2d(4, 8, 1),
    "five_taps": lambda: nn.Conv2d(4, 8, 5, padding=2),
    "one_row": lambda: nn.Conv2d(4, 8, (1, 3), padding=(0, 1)),
    "one_column": lambda: nn.Conv2d(4, 8, (3, 1), padding=(1, 0)),
    "stride": lambda: nn.Conv2d(4, 8, 3, 2, 1),
    "stride_of_columns": lambda: nn.Conv2d(4, 8, 3, (1, 2), 1),
    "dilation": lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2),
    "dilation_of_rows": lambda: nn.Conv2d(4, 8, 3, padding=(2, 1), dilation=(2, 1)),
    "groups": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "one_channel": First,
    "blocks_of_one_tap": lambda: pruned_by_tap(nn.Conv2d(4, 8, 3, padding=1)),
    "empty": lambda: empty(nn.Conv2d(4, 8, 3, padding=1)),
    "transposed": transposed,
    "linear": lambda: nn.Linear(10, 8),
}
TAKEN: dict[str, Callable[[], nn.Module]] = {
    "same": lambda: nn.Conv2d(4, 8, 3, padding=1),
    "no_padding": lambda: nn.Conv2d(4, 8, 3),
    "no_bias": lambda: nn.Conv2d(4, 8, 3, padding=1, bias=False),
    "sparse": lambda: pruned(nn.Conv2d(4, 8, 3, padding=1)),
    "more_padding": lambda: nn.Conv2d(4, 8, 3, padding=(2, 1)),
}


class Layers(nn.Module):
    """Layers side by side."""

    def __init__(self, layers: dict[str, Callable[[], nn.Module]]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: make() for name, make in layers.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: layer(x) for name, layer in self.layers.items()}


def least_gain(factor: float) -> Any:
    """Dense and pruned layers are computed by Winograd's algorithm from this predicted gain on."""
    return patch.multiple(cost, LEAST_GAIN=factor, LEAST_GAIN_PRUNED=factor)


def tiles(artefact: Artefact) -> dict[str, int | None]:
    """Name of a layer -> side of its tiles, None for a layer that was not split."""
    steps = {step.key for step in artefact.program.steps}
    found = {layer.name.split(".")[1]: (layer.key, layer.tile) for layer in artefact.report.plan.layers}
    for key, tile in found.values():
        assert (input_key(key) in steps, output_key(key) in steps) == ((tile is not None,) * 2), key
    return {name: tile for name, (_, tile) in found.items()}


def test_only_what_suits_is_split() -> None:
    """Where every layer that may be split is said to gain."""
    with least_gain(0.0):
        artefact = agree(Layers({**TAKEN, **LEFT}), SHAPE, tolerance=5e-6, min_speedup=1e-9)
    found = tiles(artefact)
    assert {name for name, tile in found.items() if tile} == set(TAKEN)
    assert set(found) >= set(LEFT)


def test_layers_that_gain_nothing_stay() -> None:
    with least_gain(1e9):
        assert set(tiles(agree(Layers(TAKEN), SHAPE)).values()) == {None}


@pytest.mark.parametrize("special", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_stay(special: float) -> None:
    model = Layers({"same": TAKEN["same"]})
    model.layers["same"].weight.data[1, 2, 0, 1] = special
    with least_gain(0.0):
        assert tiles(agree(model, SHAPE)) == {"same": None}


def test_only_layers_with_tiles_are_split() -> None:
    """The plan's word decides: keys without a tile keep their node, and other nodes are never split."""
    imported = import_model(TAKEN["same"]().eval(), random_inputs(SHAPE))
    graph = extract(imported).graph
    assert split_winograd(graph, {}) == graph
    assert split_winograd(graph, {"another": 4}) == graph
    pool = import_model(nn.MaxPool2d(3, 1, 1).eval(), random_inputs(SHAPE))
    pooled = extract(pool).graph
    assert split_winograd(pooled, {node.key: 4 for node in pooled.nodes}) == pooled
    (node,) = graph.nodes
    split = split_winograd(graph, {node.key: 4})
    assert [each.key for each in split.nodes] == [input_key(node.key), node.key, output_key(node.key)]
    assert split.nodes[-1].output == node.output
    assert winograd_origins({node.key: "a", "other": "b"}, {node.key: 4}) == {output_key(node.key): "a", "other": "b"}
    assert winograd_origins({node.key: "a"}, {}) == {node.key: "a"}
