"""Commands of the documentation run as they are written, each page in a folder with what its reader has by then.

What is not run, and what long runs are given besides, is in ``doc_runs.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from doc_pages import ROOT, all_blocks, lines_of
from doc_runs import BEFORE, as_run
from nets import impose_1xn
from onnx import TensorProto, helper
from patience import PATIENCE_S
from torch import nn

PAGES = dict.fromkeys(block.page for block in all_blocks("sh") if any(map(as_run, lines_of(block))))
FOLDERS_README = "sparsecc/build/board/README.md.in"
#: as many times as long as one test of another kind: a page has up to twenty commands
LONG_S = 5 * PATIENCE_S


class Net(nn.Module):
    """Of the README's input; a part that is pruned, and one that quantizing leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(64, 32, 3, stride=4), nn.ReLU(), nn.Conv2d(32, 32, 1))
        self.head = nn.Sequential(nn.Conv2d(32, 5, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.body(x))).mean((2, 3))


def make_onnx(path: Path) -> None:
    """Images of any number, 224 pixels wide."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "w"], ["y"], name="stem", strides=[8, 8])],
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What readers have: a model in both formats, images, logs, the README's program in C."""
    folder = tmp_path_factory.mktemp("reader")
    net = Net().eval()
    impose_1xn(net, 16, 0.75, include=["body.2"])
    torch.export.save(torch.export.export(net, (torch.randn(1, 64, 56, 56),)), folder / "model.pt2")
    make_onnx(folder / "model.onnx")
    np.savez(folder / "images.npz", images=np.random.default_rng(0).normal(size=(4, 64, 56, 56)).astype(np.float32))
    for log in ("a.jsonl", "b.jsonl"):
        shutil.copy(ROOT / "schedules" / "x86-64-v3.jsonl", folder / log)
    (folder / "pi.jsonl").touch()
    (program,) = (block.text for block in all_blocks("c") if block.page == "README.md")
    (folder / "app.c").write_text(program)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """In which ``python``, ``sparsecc`` and a C compiler are found by their names, and figures are not the user's."""
    programs, kept = tmp_path_factory.mktemp("bin"), tmp_path_factory.mktemp("cache")
    compilers = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))  # their C libraries
    modules = {"python": [], "python3": [], "sparsecc": ["-m", "sparsecc"], "cc": ["-m", "ziglang", "cc"]}
    for name, words in modules.items():
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {" ".join([sys.executable, *words])} "$@"\n')
        path.chmod(0o755)
    beside = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    places = os.pathsep.join([str(ROOT), str(ROOT / "examples")])
    own = {"XDG_CACHE_HOME": str(kept), "ZIG_GLOBAL_CACHE_DIR": compilers, "CC": "cc", "SPARSECC_THREADS": "1"}
    return {**os.environ, "PATH": beside, "PYTHONPATH": places, **own}


def run(script: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=LONG_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != FOLDERS_README])
def test_commands_run(page: str, made: Path, environment: dict[str, str], tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    run(BEFORE.get(page, "true"), folder, environment)
    for block in all_blocks("sh"):
        if block.page == page:
            run("\n".join(map(as_run, lines_of(block))), folder, environment)


@pytest.mark.slow
def test_commands_of_a_deploy_folder_run(made: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Those that its README has, on the machine that it is for."""
    assert FOLDERS_README in PAGES
    run(f"sparsecc compile {made}/model.pt2 --name net -o out/", tmp_path, environment)
    (block,) = (block for block in all_blocks("sh") if block.page == FOLDERS_README)
    script = "\n".join(lines_of(block)).replace("@name@", "net")
    assert all(line in (tmp_path / "out" / "README.md").read_text() for line in script.splitlines())
    run(script, tmp_path / "out", environment)
