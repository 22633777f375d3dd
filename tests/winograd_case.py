"""Networks whose 3x3 layers are all computed by Winograd's algorithm: records say so; and what one layer computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from helpers import Job
from numpy.typing import NDArray
from torch import nn

import sparsecc
from sparsecc.analyse.impose import Impose
from sparsecc.importer import import_model
from sparsecc.ir.layer import ConvLayer
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.lower.conv_reference import conv2d
from sparsecc.options import Options
from sparsecc.pipeline import algorithms_of
from sparsecc.target import resolve
from sparsecc.target.records.log import append
from sparsecc.target.records.record import Record


def write_records(
    path: Path, model: nn.Module, inputs: Sequence[torch.Tensor], target: str, tile: int, impose: Impose | None = None
) -> int:
    """Records by which each layer that can be is computed with such tiles, without its pruned blocks; their number."""
    resolved = resolve(target)
    decider = algorithms_of(import_model(model, tuple(inputs), impose=impose), resolved, Options())
    records = []
    for choice in decider.choices().values():
        found = [config for config in choice.space() if isinstance(config, AlgorithmConfig) and config.tile == tile]
        config = max(found, key=lambda config: config.sparse)
        record = Record(
            layer=choice.key, target=target, isa=(), threads=1, config=config, us=1.0, spread=0.0,
            default=choice.default, default_us=2.0, rounds=21, trial=1, cpu="x", date="2026-01-01", versions={},
        )  # fmt: skip
        records.append(record)
    append(path, records)
    return len(records)


def compiled_with(
    tile: int, model: nn.Module, inputs: Sequence[torch.Tensor], folder: Path, *, impose: Impose | None = None
) -> sparsecc.Compiled:
    """The network, its 3x3 layers with tiles of that side."""
    path = folder / "log.jsonl"
    count = write_records(path, model, inputs, "x86-64-v3", tile, impose)
    pattern = None if impose is None else (impose.block_n, impose.sparsity)
    lib = sparsecc.compile(
        model, "x86-64-v3", example_inputs=inputs, schedules=path, impose=pattern, verify=False, threads=1
    )
    found = [layer.tile for layer in lib.report.plan.layers if layer.why.by == "record"]
    assert found == [tile] * len(found)
    assert bool(found) == bool(count)
    return lib


def leaves(outputs: object) -> list[NDArray[np.float64]]:
    """Every tensor of a result."""
    if isinstance(outputs, dict):
        return [leaf for value in outputs.values() for leaf in leaves(value)]
    if isinstance(outputs, tuple | list):
        return [leaf for value in outputs for leaf in leaves(value)]
    return [np.asarray(outputs, np.float64)] if isinstance(outputs, torch.Tensor) else []


def expected_of(job: Job) -> NDArray[np.float32]:
    """A convolution with its epilogue, ``(n, oc, oh, ow)``, inside of zeros for the halo."""
    layer, epilogue = job.layer, job.epilogue
    assert isinstance(layer, ConvLayer)
    y = conv2d(job.inputs[0], layer.weight, layer.bias, layer.spec)
    if epilogue.residual == "before":
        y = y + job.inputs[1]
    if epilogue.activation is not None:
        y = np.maximum(y, 0) if epilogue.activation.kind == "relu" else y / (1 + np.exp(-y))
    if epilogue.residual == "after":
        y = y + job.inputs[1]
    top, left, bottom, right = job.halo or (0, 0, 0, 0)
    return np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))
