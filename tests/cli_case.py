"""A network with files for the command line, and ways to call its commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from nets import impose_1xn
from patience import PATIENCE_S
from torch import nn

from sparsecc.cli import main

ROOT = Path(__file__).parent.parent
SHAPES = [(1, 8, 6, 6), (1, 16, 6, 6)]


class Tiny(nn.Module):
    """Two inputs, two outputs, a layer that becomes sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(8, 16, 3, padding=1)
        self.body = nn.Conv2d(16, 64, 1)
        self.head = nn.Linear(64, 5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.body(torch.relu(self.stem(x)) + y))
        return self.head(features.mean((2, 3))), features


class Made(SimpleNamespace):
    """Files that the tests share: ``model``, ``library``, the inputs ``x`` and ``y``; ``said``: of its compilation."""


def make_files(folder: Path) -> Made:
    """Export :class:`Tiny`, pruned, and compile it by the command line."""
    torch.manual_seed(0)
    net = Tiny().eval()
    impose_1xn(net, 16, 0.75, include=["body"])
    inputs = tuple(torch.randn(shape) for shape in SHAPES)
    torch.export.save(torch.export.export(net, inputs), folder / "model.pt2")
    for name, array in zip("xy", inputs, strict=True):
        np.save(folder / f"{name}.npy", array.numpy())
    (folder / "labels.txt").write_text("cat\ndog\n")
    meta = ["--meta", "model_version=3", f"classes=@{folder / 'labels.txt'}"]
    done = command("compile", folder / "model.pt2", "-o", folder / "model.so", *meta)
    assert done.returncode == 0, done.stderr
    paths = {name: folder / f"{name}.npy" for name in "xy"}
    expected = [value.detach().numpy() for value in net(*inputs)]
    return Made(model=folder / "model.pt2", library=folder / "model.so", said=done, expected=expected, **paths)


def command(*arguments: object, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """Run ``sparsecc`` in a process; ``alone`` without torch and TVM."""
    block = "sys.modules['torch'] = sys.modules['tvm'] = None; " if alone else ""
    start = (
        ["-c", f"import sys; {block}from sparsecc.cli import main; sys.exit(main())"] if alone else ["-m", "sparsecc"]
    )
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S,
    )  # fmt: skip


def fails(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and error text of a command that prints nothing else."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return code, said.err


def document(capsys, *arguments: object) -> dict:
    """What a command prints with ``--json``."""
    assert main([*map(str, arguments), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)
