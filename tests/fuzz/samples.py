"""The undamaged files: ``python -m fuzz.samples FOLDER`` makes them, in a process that needs the compiler."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import nets
import numpy as np
import torch
from torch import nn

import sparsecc
from sparsecc.target import resolve
from sparsecc.target.native.figures import Figures

#: a target of a user's own
TARGET = {
    "name": "my-board", "like": "rpi4", "l2_bytes": 524288, "memory_bytes": 1 << 30, "llvm": {"mcpu": "cortex-a72"},
    "cpu_features": ["neon"],
}  # fmt: skip


class SampleNet(nn.Module):
    """Layers of every kind, few and small; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.wide = nn.Conv2d(8, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The head's result, and what it is computed from."""
        y = self.wide(self.deep(self.first(x).relu()).relu()).relu()
        return self.head(y.mean((2, 3))), y


def sample_net() -> tuple[nn.Module, torch.Tensor]:
    """The network with seeded weights, pruned in blocks of four, and its input."""
    torch.manual_seed(0)
    net = SampleNet().eval()
    nets.impose_1xn(net, 4, 0.5, include=["wide"])
    return net, torch.randn(1, 3, 12, 12)


def make_samples(folder: Path) -> None:
    """Write model.pt2, model.so, its input and results, records, a target file and figures."""
    net, x = sample_net()
    torch.export.save(torch.export.export(net, (x,)), folder / "model.pt2")
    lib = sparsecc.compile(net, target="native", example_inputs=(x,), threads=1)
    lib.save(folder / "model.so")
    np.save(folder / "input.npy", x.numpy())
    for i, result in enumerate(lib(x.numpy())):
        np.save(folder / f"output_{i}.npy", result)
    sparsecc.tune(net, target="native", example_inputs=(x,), log=folder / "records.jsonl", trials=24, threads=1)
    (folder / "target.json").write_text(json.dumps(TARGET))
    native = resolve("native")
    names = set(Figures.__dataclass_fields__) - {"double_pumped"}
    figures = Figures(**{name: getattr(native, name) for name in names}, double_pumped=native.core_model.double_pumped)
    (folder / "figures.json").write_text(json.dumps(asdict(figures)))


if __name__ == "__main__":
    make_samples(Path(sys.argv[1]))
