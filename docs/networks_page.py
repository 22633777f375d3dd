"""The page of networks of other packages, from what ``make docs-networks`` found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("networks.md")
DATA = Path(__file__).with_name("networks.json")

_HEAD = """\
# Networks of other packages

Generated from `docs/networks.json` by `make docs`; do not edit. `make docs-networks` tries networks of
{packages}
with random weights, on small images: 1x16 blocks pruned to 75 %, with rearranged rows in every second network. Of
detectors backbone and heads are compiled; regions and non-maximum suppression have no fixed shapes. Packages are not
part of the project; their weights are not needed.

Of {count} networks {imported} are imported, {share} %. {compiled} of them were compiled so far, and {right} of those
are within 1e-4 of PyTorch's results, relative to the largest output: the largest difference is {worst}. The others are
marked: of random weights PyTorch's own results are so far from float64, the library's no more than twice as far,
compiled without Winograd's algorithm. A slow test compiles every network of the list, and fails where one is refused
that this page does not name, or differs by more than that.

Not in the list: timm's Sequencer, whose LSTMs over rows and columns `torch.export` writes out step by step; after four
minutes on a busy machine its import had not ended.
"""

_REFUSED = """\
## Refused

| network | reason |
|---|---|
"""

_TABLE = """\
## Compiled

Layers are convolutions and linear ones; calls those of kernels in one run.

| network | inputs | layers | of them sparse | calls | difference |
|---|---|---|---|---|---|
"""


def text() -> str:
    """The whole page."""
    data = json.loads(DATA.read_text())
    networks: dict[str, Any] = data["networks"]
    compiled = {name: entry for name, entry in networks.items() if "difference" in entry}
    refused = {name: entry for name, entry in networks.items() if "refused" in entry}
    count, taken = len(networks), len(networks) - len(refused)
    head = _HEAD.format(
        packages=", ".join(f"{name} {version}" for name, version in data["versions"].items()),
        count=count, imported=taken, share=f"{100 * taken / count:.1f}", compiled=len(compiled),
        right=sum("own" not in entry for entry in compiled.values()),
        worst=max((entry["difference"] for entry in compiled.values() if "own" not in entry), key=float),
    )  # fmt: skip
    rows = [_row(name, entry) for name, entry in compiled.items()]
    parts = [head, _TABLE + "".join(rows)]
    if refused:
        parts.append(_REFUSED + "".join(f"| {name} | {entry['refused']} |\n" for name, entry in refused.items()))
    others = [name for name in networks if name not in compiled and name not in refused]
    if others:
        parts.append("## Imported, not compiled yet\n\n" + "".join(f"* {name}\n" for name in others))
    return "\n".join(parts)


def _row(name: str, entry: dict[str, Any]) -> str:
    shapes = ", ".join("x".join(map(str, shape)) for shape in entry["inputs"])
    own = f", PyTorch's own {entry['own']}" if "own" in entry else ""
    counts = f"{entry['layers']} | {entry['sparse']} | {entry['calls']}"
    return f"| {name} | {shapes} | {counts} | {entry['difference']}{own} |\n"


if __name__ == "__main__":
    PAGE.write_text(text())
