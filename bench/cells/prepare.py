"""Make the pruned network of a cell, and the files that participants start from."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from nets import build, calibrate_batchnorm, impose_1xn
from nets.patterns import prunable_layers
from torch import nn

from bench.cells.work import count_work
from bench.results.schema import Cell, Work
from bench.rivals.files import EXPECTED, INPUT, MODULE, ONNX

_OPSET = 13  # old enough for every rival's reader
_SEED = 0


def pruned_net(cell: Cell, *, uniform: bool = False) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Build and prune the network: convolutions only; stem, depthwise and linear layers stay dense.

    A dense cell's network is not pruned at all. Where ``uniform``, every row of blocks keeps the same number of them.
    Batch norm is calibrated again after pruning, so that values keep a sane scale through the network.
    """
    model = build(cell.net, seed=_SEED, width=cell.width)
    convs = [name for name in prunable_layers(model) if isinstance(model.get_submodule(name), nn.Conv2d)]
    masks = (
        {} if cell.is_dense else impose_1xn(model, cell.n, cell.sparsity, uniform=uniform, include=convs, seed=_SEED)
    )
    calibrate_batchnorm(model, _images(2, cell.size))
    return model.eval(), masks


def prepare(cell: Cell, folder: Path) -> Work:
    """Write the cell's files into ``folder`` and count its work."""
    model, masks = pruned_net(cell)
    x = _images(1, cell.size)
    with torch.no_grad():
        outputs = model(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    torch.save(model, folder / MODULE)
    np.save(folder / INPUT, x.numpy())
    np.savez(folder / EXPECTED, *(output.numpy() for output in outputs))
    _export(model, x, folder / ONNX)
    return count_work(model, x, masks, n=cell.n)


def _images(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(_SEED + count))


def _export(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated; rivals read its graphs best
        torch.onnx.export(model, (x,), str(path), dynamo=False, opset_version=_OPSET, input_names=["input"])
