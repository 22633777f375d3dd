"""Programs of the documentation's pages run: each page in one process, its blocks one after another.

What a page calls the reader's own (a model, a training loop) is a small stand-in. README and the page of services have
tests of their own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from doc_pages import all_blocks
from test_doc_blocks import ELSEWHERE
from torch import nn

from sparsecc import prune

Names = dict[str, Any]
PAGES = dict.fromkeys(
    block.page for block in all_blocks("python") if (block.page, block.language) not in ELSEWHERE
)  # fmt: skip
#: pages that compile nothing
QUICK = {"docs/pruning.md"}


class MyNet(nn.Sequential):
    """Takes images of any size, large ones quickly."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 32, 3, stride=4), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
        )  # fmt: skip


def own() -> Names:
    """A model and an input of the reader's."""
    return {"model": MyNet().eval(), "x": torch.randn(1, 3, 32, 32)}


def imported() -> Names:
    import sparsecc

    return {"sparsecc": sparsecc, **own()}


def quantized() -> Names:
    return {"calibration": [torch.randn(1, 3, 32, 32) for _ in range(4)], **own()}


def trained() -> Names:
    return {"epochs": 2, "train": lambda model: model.train(), **own()}


def stored() -> Names:
    torch.save(MyNet().state_dict(), "checkpoint.pt")
    return {"MyNet": MyNet}


def ready() -> Names:
    """A module with a model, its weights, and a loop that needs no data."""
    torch.save(MyNet().state_dict(), "dense.pth")
    Path("my_net.py").write_text("from test_doc_python import MyNet\n")
    return {"train": lambda model: model.train()}


#: page -> what its reader has before the first block
STANDINS: dict[str, Callable[[], Names]] = {
    "docs/advise.md": own,
    "docs/half.md": imported,
    "docs/pruning.md": trained,
    "docs/quantization.md": quantized,
    "docs/raspberry-pi.md": stored,
    "docs/ten-minutes.md": ready,
}


def check(page: str, names: Names) -> bool:
    """Whether the page's programs did what it says."""
    if page == "docs/pruning.md":
        return isinstance(names["pruner"], prune.OneByN) and bool((names["model"][2].weight == 0).float().mean() >= 0.7)
    if page == "docs/borders.md":
        return names["labels"].shape == (1, 16, 16) and names["lib"].inputs[0].shape == (1, 32, 32, 3)
    if page == "docs/ten-minutes.md":
        return bool(torch.from_numpy(names["y"]).isclose(names["model"](names["x"]), atol=1e-5).all())
    made = {"docs/index.md": "model.so", "docs/shapes.md": "model.so", "docs/raspberry-pi.md": "out/model_bench"}
    if page in made:
        return Path(made[page]).is_file()
    return any(name in names for name in ("advice", "compiled", "library"))


@pytest.mark.parametrize(
    "page", [page if page in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
)
def test_programs_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = STANDINS.get(page, dict)()
    for block in all_blocks("python"):
        if block.page == page:
            if "from model_numpy" in block.text:  # on the board: this machine stands for it
                _here(names, monkeypatch)
            exec(compile(block.text, page, "exec"), names)
    assert check(page, names)


def _here(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile the page's network for this machine, and go where its folder is."""
    (first, *_) = (block for block in all_blocks("python") if block.page == "docs/raspberry-pi.md")
    exec(first.text.replace('"rpi4"', '"native"').replace('"out/"', '"here/"'), names)
    monkeypatch.syspath_prepend("here")


#: the page's three lines, in a program that a C compiler takes: dots are what follows a failure
IN_C = """
#include <stdio.h>
#include "model.h"
static float x[7 * 3 * 24 * 24], y[7 * 5];
int main(void) {{
  const void *inputs[] = {{x}};
  void *outputs[] = {{y}};
  model_t *net;
  if (model_create(&net)) return 2;
{lines}
  printf("shape %d", shape);
  model_destroy(net);
  return 0;
}}
"""


@pytest.mark.slow
def test_c_of_several_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the library that the page's first program makes."""
    monkeypatch.chdir(tmp_path)
    program = next(block.text for block in all_blocks("python") if block.page == "docs/shapes.md")
    exec(compile(program, "docs/shapes.md", "exec"), {})
    (block,) = (block for block in all_blocks("c") if block.page == "docs/shapes.md")
    assert block.text.count(" ...") == 2
    Path("app.c").write_text(IN_C.format(lines=block.text.replace(" ...", " return 1;")))
    compiler = [sys.executable, "-m", "ziglang", "cc", "-Wall", "-Werror"]
    subprocess.run([*compiler, "app.c", "-I.", "-L.", "-l:model.so", "-Wl,-rpath,$ORIGIN", "-o", "app"], check=True)
    assert subprocess.run(["./app"], capture_output=True, text=True, check=True).stdout == "shape 2"
