"""Algorithms of a whole network: what its weights may take, and what they cost where they have no room in a cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import compiled
from torch import nn

import sparsecc
from sparsecc.advice.structures import dense_structure, kept_structure
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.layers import FoundLayer, LayerPlan, weight_bytes
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.structure import Structure, product_structure
from sparsecc.errors import UserError
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.indices import BYTES
from sparsecc.ir.winograd import Tiling
from sparsecc.lower.cost.algorithm import Prices, fetch_cycles
from sparsecc.options import Options
from sparsecc.report import Report
from sparsecc.target import TARGETS, Target

V4 = TARGETS["x86-64-v4"]


def conv(channels: int, size: int) -> ConvSpec:
    return ConvSpec(1, channels, size, size, channels, 3, 3, padding=(1, 1, 1, 1))


#: of a ResNet-18
SPECS = [conv(64, 56)] * 4 + [conv(128, 28)] * 3 + [conv(256, 14)] * 3 + [conv(512, 7)] * 3


def found(specs: Sequence[ConvSpec], density: float | None = None) -> list[FoundLayer]:
    """Layers with blocks of 16 channels, or dense (None)."""
    structures = [dense_structure(spec) if density is None else kept(spec, density) for spec in specs]
    return [
        FoundLayer(f"layer_{i}", f"layer.{i}", "conv", spec, structure)
        for i, (spec, structure) in enumerate(zip(specs, structures, strict=True))
    ]


def kept(spec: ConvSpec, density: float) -> Structure:
    return kept_structure(spec, block_n=16, nnzb=round(spec.oc // 16 * spec.ic * density))


def plan(target: Target, density: float | None = None, specs: Sequence[ConvSpec] = SPECS, **options) -> Plan:
    decider = Algorithms(found(specs, density), target, Options(**options), slower=lambda spec, structure: 1.0)
    return decider.plan()


def tiles(made: Plan) -> list[int]:
    return [layer.tile or 0 for layer in made.layers]


# --- bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [None, 2, 4])
@pytest.mark.parametrize("density", [None, 0.25])
def test_bytes_are_those_of_what_is_computed(tile, density):
    spec = conv(64, 14)
    blocks = None if density is None else kept(spec, density)
    side = 0 if tile is None else tile + 2
    products, taps = (1, 9) if tile is None else (side * side, 1)
    if blocks is None:
        assert weight_bytes(spec, None, tile) == 4 * products * taps * 64 * 64
        return
    computed = blocks if tile is None else product_structure(blocks, Tiling(spec, tile))
    weights, ends = 4 * computed.nnzb * 16 * taps, 4 * (computed.rows + 1)
    nbytes = weight_bytes(spec, blocks, tile)
    assert nbytes == weights + ends + computed.nnzb * BYTES[computed.index]
    layer = LayerPlan("key", "name", "conv", spec, blocks, "sparse", "because", tile=tile)
    assert layer.kept_bytes == nbytes
    assert layer.added_bytes == (0 if tile is None else nbytes - weight_bytes(spec, blocks, None))


# --- max_growth ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [None, 0.5, 0.25])
@pytest.mark.parametrize("growth", [1.0, 1.2, 1.7, 2.5, 3.9])
def test_growth_stays_within_its_bound(density, growth):
    direct = plan(V4, density, winograd=False).totals.kept_bytes
    made, free = plan(V4, density, max_growth=growth), plan(V4, density)
    assert made.totals.kept_bytes <= growth * direct
    assert tiles(plan(V4, density, max_growth=4.1)) == tiles(free)
    for layer, fastest in zip(made.layers, free.layers, strict=True):
        # who gave nothing back is computed as without a bound, who did says why
        assert (layer.limit == "") == (layer.tile == fastest.tile)
        assert (layer.limit == "") == (layer.reason == fastest.reason)
        if layer.limit:
            assert layer.limit == f"max_growth {growth:g}"
            assert layer.reason.endswith(f"; smaller weights: max_growth {growth:g}")
    assert any(layer.limit for layer in made.layers) == (free.totals.kept_bytes > growth * direct)


def test_layers_that_gain_least_for_a_byte_give_back_first():
    """The last of the network have large weights and few pixels."""
    made = plan(V4, max_growth=1.6)
    assert all(tile for tile in tiles(made)[:4])
    assert not all(tiles(made)[-3:])


def test_without_room_for_any_growth_all_layers_are_direct():
    for density in (None, 0.5):
        made = plan(V4, density, max_growth=1)
        assert tiles(made) == [0] * len(SPECS)
        assert made.totals.kept_bytes == plan(V4, density, winograd=False).totals.kept_bytes


@pytest.mark.parametrize("value", [0.5, 0, -1, math.inf, math.nan, "2", True, (1, 2)])
def test_wrong_bounds(value):
    with pytest.raises(UserError, match=r"^max_growth: found .*, expected a factor of 1 or more such as 1\.5, or None"):
        Options(max_growth=value)


class Two(nn.Module):
    """Two 3x3 layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 64, 28, 28) to the same."""
        return self.second(torch.relu(self.first(x)))


X = torch.zeros(1, 64, 28, 28)


def test_compile_inspect_and_advise_agree():
    torch.manual_seed(0)
    model = Two().eval()
    artefact = compiled(model, (X,), target="x86-64-v4", max_growth=3.0)
    seen = sparsecc.inspect(model, "x86-64-v4", example_inputs=(X,), max_growth=3.0)
    assert tiles(artefact.report.plan) == tiles(seen) == [2, 4]
    assert [layer.limit for layer in seen.layers] == ["max_growth 3", ""]
    bounded, free = (
        sparsecc.advise(model, "x86-64-v4", (4,), example_inputs=(X,), sparsities=(0.0, 0.5), max_growth=growth)
        for growth in (1.0, None)
    )
    assert bounded.nets[0].us[0] > free.nets[0].us[0]


def test_the_report_says_what_was_given_back_and_what_tiles_add():
    report = compiled(Two().eval(), (X,), target="x86-64-v4", max_growth=3.0).report
    text = str(report)
    assert "2x2 +115 kB" in text
    assert "4x4 +442 kB" in text
    assert "algorithm: tiles of Winograd's, and what it adds to the weights." in text
    assert "Winograd's algorithm: 2 layers, 557 kB of the weights more than by the direct kernel (2.89x)" in text
    assert "smaller weights, not the fastest algorithm (max_growth 3): first" in text
    assert "; smaller weights: max_growth 3" in text
    again = Report.from_json(report.to_json())
    assert str(again) == text
    data = report.to_json()["plan"]["layers"]
    assert [layer["added_bytes"] for layer in data] == [layer.added_bytes for layer in report.plan.layers]
    # what libraries of before say has neither
    for layer in data:
        for name in ("added_bytes", "chosen_by", "chosen_from", "limit"):
            del layer[name]
    old = Plan.from_json({"layers": data})
    assert tiles(old) == [2, 4]
    assert {layer.why.by for layer in old.layers} == {"cost model"}


def test_a_plan_without_tiles_has_no_column_for_them():
    assert "algorithm" not in str(plan(V4, winograd=False))


# --- memory of a board ---------------------------------------------------------------------------------------------


def test_weights_fit_into_a_boards_memory():
    board = TARGETS["rpi4"]
    free = plan(board)
    assert all(tiles(free))
    needed = free.totals.kept_bytes
    small = replace(board, name="small", memory_bytes=needed)
    made = plan(small)
    assert made.totals.kept_bytes < small.room_bytes
    assert {layer.limit for layer in made.layers} == {"", "the memory of small"}
    tiny = replace(board, name="tiny", memory_bytes=1 << 20)
    assert tiles(plan(tiny)) == [0] * len(SPECS)
    unknown = replace(board, memory_bytes=0)
    assert tiles(plan(unknown)) == tiles(free)


# --- weights that come from memory ---------------------------------------------------------------------------------


def test_what_fetching_costs():
    mb = 1 << 20
    assert fetch_cycles(mb, 0, V4) == fetch_cycles(mb, V4.l3_bytes, V4) == 0
    some, more, all_of_them = (fetch_cycles(mb, many, V4) for many in (2 * V4.l3_bytes, 4 * V4.l3_bytes, math.inf))
    assert 0 < some < more < all_of_them
    assert some == pytest.approx(all_of_them / 2)
    # a board without a third cache brings every layer's weights from memory anyway
    assert fetch_cycles(mb, math.inf, TARGETS["rpi4"]) == 0


def test_a_network_whose_weights_have_no_room_takes_smaller_ones():
    """One layer alone, in the last cache, is worth its tiles; many of them, out of memory, are not all."""
    slow = replace(V4, memory_bandwidth=0.5)
    alone, many = plan(slow, 0.5, SPECS[-1:]), plan(slow, 0.5, SPECS[-1:] * 12)
    assert all(tiles(alone))
    assert sum(map(bool, tiles(many))) < 12
    assert many.totals.kept_bytes < 12 * alone.totals.kept_bytes
    said = {layer.limit for layer in many.layers}
    assert said <= {"", "all weights stay in the last cache"}
    fast = replace(V4, memory_bandwidth=V4.l3_bandwidth)
    assert tiles(plan(fast, 0.5, SPECS[-1:] * 12)) == tiles(alone) * 12


@pytest.mark.parametrize(("bandwidth", "density"), [(0.25, 0.5), (4.0, None), (4.0, 0.1)])
def test_no_network_is_predicted_slower_than_with_direct_kernels(bandwidth, density):
    target = replace(V4, memory_bandwidth=bandwidth)
    prices = Prices(target)

    def total(made: Plan) -> float:
        nbytes = made.totals.kept_bytes
        return sum(
            prices.cycles(layer.spec, layer.kept, layer.tile) + fetch_cycles(layer.kept_bytes, nbytes, target)
            for layer in made.layers
        )

    assert total(plan(target, density)) <= total(plan(target, density, winograd=False))


def test_equal_questions_are_answered_from_memory():
    prices, spec = Prices(V4), conv(64, 56)
    first = prices.cycles(spec, kept(spec, 0.5), 4)
    prices.target = replace(V4, fma_per_cycle=1)
    assert prices.cycles(spec, kept(spec, 0.5), 4) == first
    assert prices.cycles(spec, kept(spec, 0.5), 2) != first
    assert np.isfinite(prices.nbytes(spec, kept(spec, 0.5), 4))
