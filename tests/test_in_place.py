"""Depthwise convolutions whose results take the place of their input."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
import torch
from helpers import RUNNABLE, agree, close, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sparsecc
from sparsecc import pipeline
from sparsecc.artefact import Artefact
from sparsecc.importer import import_model
from sparsecc.ir.layout import PlaneLayout, compact, padded
from sparsecc.ir.placed import Placed, Repack
from sparsecc.kernels.window_place import fits
from sparsecc.lower.joining import Joining
from sparsecc.options import Options
from sparsecc.pipeline import analyse, arrange, extract, rewrite, run
from sparsecc.rewrite.in_place import in_place
from sparsecc.rewrite.layout import place
from sparsecc.target import Target, resolve
from sparsecc.target.records.lookup import distance
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.tasks import find_tasks
from sparsecc.tuning.timing import Timing
from sparsecc.verify import first_difference
from sparsecc.verify.run import linked

#: widest image whose rows are one vector, by target
WIDEST = {"x86-64-v4": 16, "x86-64-v3": 8}


def depthwise(channels: int, kernel: int = 3, *, stride: int = 1) -> nn.Conv2d:
    """A depthwise convolution that keeps the size of the image."""
    return nn.Conv2d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels)


def net(channels: int, kernel: int = 3) -> nn.Sequential:
    """A depthwise convolution between two of one tap; large enough for PyTorch not to be alone with its rounding."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, channels, 1), nn.ReLU6(), depthwise(channels, kernel), nn.ReLU6(), nn.Conv2d(channels, 4, 1)
    )  # fmt: skip


def overwritten(artefact: Artefact) -> list[str]:
    """Keys of the steps whose result is replaced by the next step's."""
    steps = artefact.program.steps
    return [a.key for a, b in pairwise(steps) if a.args[a.writes[0]] == b.args[b.writes[0]]]


@pytest.mark.parametrize("target", [name for name in RUNNABLE if name in WIDEST])
@pytest.mark.parametrize("size", [(3, 5), (7, 7), (8, 8), (9, 4), (14, 14), (20, 16), (24, 5), (17, 17)])
def test_small_images_are_written_where_they_were_read(target, size):
    with patch.object(pipeline, "as_chosen", lambda *_: lambda *_: Joining(False)):
        artefact = agree(net(24), (2, 4, *size), target=target)
    # a tile needs a register for each row
    rows = resolve(target).registers - 12
    assert overwritten(artefact) == (["layer_0"] if size[1] <= WIDEST[target] and size[0] <= rows else [])


@settings(max_examples=15, deadline=None)
@given(
    size=st.tuples(st.integers(3, 16), st.integers(3, 16)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.integers(1, 2),
    batch=st.integers(1, 3),
    channels=st.integers(1, 9),
)
def test_any_window_is_right(size, kernel, padding, dilation, batch, channels):
    reach = [dilation * (k - 1) + 1 for k in kernel]
    padding = [max(p, r - s) for p, r, s in zip(padding, reach, size, strict=True)]
    torch.manual_seed(0)
    window = nn.Conv2d(channels, channels, kernel, padding=tuple(padding), dilation=dilation, groups=channels)
    model = nn.Sequential(nn.Conv2d(3, channels, 1), nn.ReLU(), window, nn.ReLU(), nn.Conv2d(channels, 2, 1))
    agree(model, (batch, 3, *size))


def test_what_one_run_leaves_does_not_show_in_the_next():
    """Results lie over the gaps of the input, which must be zero again."""
    model, (x,) = net(24).eval(), random_inputs((1, 4, 14, 14))
    with sparsecc.compile(model, example_inputs=(x,), threads=2).library as library:
        library(np.full(x.shape, np.nan, np.float32))
        for _ in range(3):
            close(library(x.numpy()), model(x).detach().numpy(), tolerance=1e-5)


def test_one_after_another_in_the_same_planes():
    """The second one's input has the layout that the first one got."""
    torch.manual_seed(0)
    second = nn.Conv2d(24, 24, 3, groups=24)
    model = nn.Sequential(
        nn.Conv2d(4, 24, 1), nn.ReLU(), depthwise(24), nn.ReLU(), second, nn.ReLU(), nn.Conv2d(24, 4, 1)
    )  # fmt: skip
    assert overwritten(agree(model, (2, 4, 7, 7))) == ["layer_0", "layer_2"]


def test_windows_too_large_to_unroll_stay():
    assert overwritten(agree(net(8, kernel=9), (1, 4, 12, 12))) == []


class Twice(nn.Module):
    """The depthwise layer's input has a second reader."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.window, self.last = nn.Conv2d(4, 16, 1), depthwise(16), nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.last(self.window(y) + y)


class Residual(nn.Module):
    """The depthwise layer adds another tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.other, self.last = nn.Conv2d(4, 16, 1), nn.Conv2d(4, 16, 1), nn.Conv2d(16, 4, 1)
        self.window = depthwise(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.window(self.first(x)) + self.other(x))


class Returned(nn.Module):
    """The depthwise layer's input is a result, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.window, self.last = nn.Conv2d(4, 16, 1), depthwise(16), nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.first(x)
        return self.last(self.window(y)), y


class Flipped(nn.Module):
    """An operator without a kernel of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(3).sigmoid()


@pytest.mark.parametrize(
    "model",
    [
        Twice(),
        nn.Sequential(nn.Conv2d(4, 16, 1), depthwise(16)),  # the caller's output
        nn.Sequential(depthwise(4), nn.Conv2d(4, 4, 1)),  # the caller's input
        nn.Sequential(nn.Conv2d(4, 16, 1), depthwise(16, stride=2), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.Conv2d(4, 16, 1), depthwise(16), nn.Conv2d(16, 4, 3, padding=1)),  # needs gaps itself
        nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.Conv2d(4, 16, 1), nn.MaxPool2d(3, 1, 1), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.Conv2d(4, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=8), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.Conv2d(4, 16, 1), nn.AvgPool2d(3, 1, 1), depthwise(16), nn.Conv2d(16, 4, 1)),
        nn.Sequential(nn.Conv2d(4, 16, 1), Flipped(), depthwise(16), nn.Conv2d(16, 4, 1)),
        Residual(),
        Returned(),
    ],
    ids=[
        "two readers", "output", "input", "stride", "halo", "more channels", "pooling", "groups", "after pooling",
        "after another operator", "residual", "also returned",
    ],
)  # fmt: skip
def test_what_is_needed_elsewhere_stays(model):
    with patch.object(pipeline, "as_chosen", lambda *_: lambda *_: Joining(False)):
        assert overwritten(agree(model, (1, 4, 7, 7))) == []


def marked(placed: Placed) -> list[int]:
    """Nodes that would write where they read on a target with wide vectors."""
    return [i for i, node in enumerate(in_place(placed, resolve("x86-64-v4")).nodes) if node.in_place]


def test_every_condition_alone():
    """Facts of one node or layout are changed; all others allow it."""
    imported = import_model(net(24).eval(), random_inputs((1, 4, 14, 14)))
    placed = place(extract(imported).graph)
    (at,) = marked(placed)
    node = placed.nodes[at]
    (read,) = node.inputs
    maker = next(i for i, other in enumerate(placed.nodes) if other.output == read)

    def changed(i: int, **facts: object) -> Placed:
        nodes = list(placed.nodes)
        nodes[i] = replace(nodes[i], **facts)
        return replace(placed, nodes=tuple(nodes))

    def with_layout(tensor: int, layout: PlaneLayout | None) -> Placed:
        layouts = list(placed.layouts)
        layouts[tensor] = layout
        return replace(placed, layouts=tuple(layouts))

    source, result = placed.layouts[read], placed.layouts[node.output]
    assert source is not None
    assert result is not None
    another = placed.nodes[-1].output
    forbidding = {
        "it packs its input": changed(at, packs=True),
        "it reads a residual": changed(at, inputs=(read, another)),
        "it is a copy": changed(at, operator=Repack(14)),
        "its input is made by a copy": changed(maker, operator=Repack(14)),
        "nobody makes its input": changed(maker, output=another),
        "its input has another reader": changed(maker, inputs=(*placed.nodes[maker].inputs, read)),
        "its input is a result": replace(placed, outputs=(*placed.outputs, read)),
        "its result is the caller's": replace(placed, outputs=(*placed.outputs, node.output)),
        "its input is no image": with_layout(read, None),
        "its result is no image": with_layout(node.output, None),
        "its result needs gaps": with_layout(node.output, replace(result, halo=(1, 1, 1, 1))),
        "its input is dealt out": with_layout(read, replace(source, deal=2)),
        "its input is in phases": with_layout(read, replace(source, step=(1, 2), phases=((0, 0), (0, 1)))),
        "rows do not fit": with_layout(read, replace(source, plane=13 * 14 + 16 + 15)),
    }
    assert {condition for condition, other in forbidding.items() if marked(other)} == set()


def test_a_wide_vector_leaves_the_next_plane_alone():
    source = padded(14, 14, halo=(1, 1, 1, 1), pitch=15)
    assert fits(source, compact(14, 14), lanes=16)
    assert not fits(source, compact(14, 14), lanes=8)  # a row is wider
    # the last vector would reach what the next plane reads as the row above it
    assert not fits(replace(source, plane=13 * 14 + 16 + 15), compact(14, 14), lanes=16)


@pytest.mark.parametrize("name", ["rpi4", "x86-64-v3"])
def test_targets_with_few_lanes_or_registers(name):
    """Rows of 14 pixels are several vectors there."""
    target: Target = resolve(name)
    model, x = net(24).eval(), random_inputs((1, 4, 14, 14))
    assert overwritten(run(model, x, target, Options(), progress=str)[0]) == []


def test_a_difference_names_both_layers():
    model, x = net(24).eval(), random_inputs((1, 4, 7, 7))
    artefact, imported = run(model, x, resolve("native"), Options(), progress=str)
    assert overwritten(artefact) == ["layer_0"]
    assert "no single layer" in first_difference(artefact, imported, tolerance=1e-4, run=linked(imported, cc=None))
    weights = tuple(w * np.float32(1.5) if w.dtype == np.float32 else w for w in artefact.program.weights)
    wrong = replace(artefact, program=replace(artefact.program, weights=weights))
    found = first_difference(wrong, imported, tolerance=1e-4, run=linked(imported, cc=None))
    assert "the first layer that differs is layer_2 or layer_0, whose result it replaces" in found


def test_nothing_changes_where_nothing_fits():
    target = resolve("x86-64-v4")
    imported = import_model(net(24).eval(), random_inputs((1, 4, 40, 40)))
    placed = rewrite(imported, analyse(imported, target, Options()), target).placed
    assert not any(node.in_place for node in placed.nodes)
    assert in_place(placed, target) == placed


@pytest.mark.parametrize("target", [name for name in RUNNABLE if name in WIDEST])
def test_a_search_times_the_kernel_that_is_compiled(target):
    """Its input is there again for every run, and its key is not that of the kernel with memory of its own."""
    resolved = resolve(target)
    imported = import_model(net(24).eval(), random_inputs((2, 4, 4, 7)))
    plan = analyse(imported, resolved, Options())
    apart = arrange(extract(imported), plan, resolved, decide=lambda chain, layer: Joining(False))
    [task] = [task for task in find_tasks(apart, resolved) if task.key.kind == "window"]
    assert task.node.in_place
    assert task.key.in_place
    assert distance(replace(task.key, in_place=False), task.key) == math.inf
    [(_, timing)] = CommandRunner().measure(task, task.space, threads=2, rounds=2)
    assert isinstance(timing, Timing), timing
    assert timing.error < 1e-5
