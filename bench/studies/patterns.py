"""How fast each pattern of pruning is: ``python -m bench.studies.patterns --net resnet50 --sparsity 0.9``.

One network, one share of pruned weights, one thread. Every pattern is pruned by :mod:`sparsecc.prune`, compiled (which
checks it against PyTorch) and loaded into this process; then all run in turns, a round after the other. Ratios are
taken within a round.
"""

from __future__ import annotations

import copy
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from nets import build, calibrate_batchnorm
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune as torch_prune

import sparsecc
from bench.command import add_shape, parser_of, tell
from bench.results.stats import Spread, ratios, spread
from bench.running.rounds import rotated
from bench.showing.markdown import number, table
from sparsecc import prune
from sparsecc.prune import Pruner
from sparsecc.report import Report

_SEED, _WARM_UP, _RUNS = 0, 2, 3
DENSE, BLOCKS = "dense", "1x4"

Prune = Callable[[nn.Module, float], None]


def _by(make: Callable[[float], Pruner]) -> Prune:
    """Prune by one of our pruners."""

    def pruned(model: nn.Module, sparsity: float) -> None:
        pruner = make(sparsity)
        pruner.apply(model)
        pruner.step(0)
        pruner.finalize()

    return pruned


def _single_weights(model: nn.Module, sparsity: float) -> None:
    """Prune the weights of least magnitude, by PyTorch's own pruner, in the layers that ours would prune."""
    ours = prune.OneByN(1, sparsity)
    ours.apply(copy.deepcopy(model))
    for name in ours.sparsities():
        layer = model.get_submodule(name)
        torch_prune.l1_unstructured(layer, "weight", sparsity)
        torch_prune.remove(layer, "weight")


def _shuffled(prune_it: Prune) -> Prune:
    """The same blocks, but every pruned layer's output channels in a random order: what permuted rows cost."""

    def pruned(model: nn.Module, sparsity: float) -> None:
        prune_it(model, sparsity)
        generator = torch.Generator().manual_seed(_SEED)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups == 1 and bool((layer.weight == 0).any()):
                order = torch.randperm(layer.out_channels, generator=generator)
                layer.weight.data = layer.weight.data[order]

    return pruned


#: name -> how to prune a model to a share
PATTERNS: Mapping[str, Prune | None] = {
    DENSE: None,
    BLOCKS: _by(lambda s: prune.OneByN(4, s)),
    "1x4, sorted": _by(lambda s: prune.OneByN(4, s, rearrange="sort")),
    "1x4, shuffled": _shuffled(_by(lambda s: prune.OneByN(4, s))),
    "1x4, equal counts": _by(lambda s: prune.Subp(4, s, decay_start=0, decay_end=0, decay=0)),
    "1x16": _by(lambda s: prune.OneByN(16, s)),
    "1x16, sorted": _by(lambda s: prune.OneByN(16, s, rearrange="sort")),
    "1x16, shuffled": _shuffled(_by(lambda s: prune.OneByN(16, s))),
    "single kernels": _by(lambda s: prune.OneByN(1, s)),
    "single weights": _single_weights,
    "DARB": _by(prune.Darb),
}


@dataclass(frozen=True)
class Timed:
    """A pattern: milliseconds, speed-up over dense and over 1x4 blocks, layers that run sparse, bytes, error."""

    pattern: str
    ms: Spread
    over_dense: Spread
    over_blocks: Spread | None
    sparse: int
    library_bytes: int
    error: float


@dataclass(frozen=True)
class Setting:
    """What all patterns have in common; ``width`` scales the channels, ``size`` is that of the images, in pixels."""

    net: str
    sparsity: float
    width: float = 1.0
    size: int = 224

    def images(self, count: int, *, seed: int = _SEED) -> torch.Tensor:
        """Random images."""
        return torch.randn(count, 3, self.size, self.size, generator=torch.Generator().manual_seed(seed))


def compiled(setting: Setting, pattern: str, path: Path) -> Report:
    """Prune, calibrate and compile a network to ``path``; the result has been checked against PyTorch."""
    model = build(setting.net, seed=_SEED, width=setting.width).eval()
    make = PATTERNS[pattern]
    if make is not None:
        make(model, setting.sparsity)
    images = setting.images(2)
    calibrate_batchnorm(model, images)
    lib = sparsecc.compile(model, example_inputs=(images[:1],), threads=1)
    lib.save(path)
    return lib.report


def measure(libraries: Mapping[str, Path], x: NDArray[np.float32], *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every library in every round; the order turns from round to round."""
    loaded = {name: sparsecc.load(path, threads=1) for name, path in libraries.items()}
    found: dict[str, list[float]] = {name: [] for name in loaded}
    for turn in range(_WARM_UP + rounds):
        for name in rotated(list(loaded), turn):
            loaded[name](x)  # its weights come to the caches
            runs = []
            for _ in range(_RUNS):
                start = time.perf_counter()
                loaded[name](x)
                runs.append(1e3 * (time.perf_counter() - start))
            if turn >= _WARM_UP:
                found[name].append(min(runs))
    return found


def compare(setting: Setting, patterns: Sequence[str], *, rounds: int) -> list[Timed]:
    """Compile all patterns, measure them in turns."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{number}.so") for number, name in enumerate(patterns)}
        reports = {}
        for name, path in paths.items():
            tell(f"{setting.net}, {name}: compile")
            reports[name] = compiled(setting, name, path)
        times = measure(paths, setting.images(1, seed=1).numpy(), rounds=rounds)
        return [
            Timed(
                name,
                ms=spread(times[name]),
                over_dense=ratios(times[DENSE], times[name]),
                over_blocks=ratios(times[BLOCKS], times[name]) if BLOCKS in times else None,
                sparse=sum(layer.decision == "sparse" for layer in reports[name].plan.layers),
                library_bytes=path.stat().st_size,
                error=reports[name].error or 0.0,
            )
            for name, path in paths.items()
        ]


def _line(t: Timed) -> list[str]:
    over = "" if t.over_blocks is None else number(t.over_blocks)
    size, error = f"{t.library_bytes / 1e6:.1f} MB", f"{t.error:.1e}"
    return [t.pattern, number(t.ms), number(t.over_dense), over, f"{t.sparse}", size, error]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write all figures."""
    p = parser_of("studies.patterns", "The speed of every pattern.")
    p.add_argument("--net", default="resnet50", help="from examples/nets (default: resnet50)")
    p.add_argument("--sparsity", type=float, default=0.9, help="(default: 0.9)")
    p.add_argument("--patterns", nargs="+", default=list(PATTERNS), choices=PATTERNS, metavar="PATTERN")
    p.add_argument("--rounds", type=int, default=20, help="(default: 20)")
    add_shape(p)
    p.add_argument("--out", type=Path, default=Path("patterns.json"), help="all figures (default: patterns.json)")
    options = p.parse_args(arguments)
    setting = Setting(options.net, options.sparsity, options.width, options.size)
    patterns = [DENSE, *(name for name in options.patterns if name != DENSE)]
    found = compare(setting, patterns, rounds=options.rounds)
    options.out.write_text(json.dumps([asdict(t) for t in found], indent=1))
    head = ["pattern", "ms", "over dense", "over 1x4 blocks", "sparse layers", "library", "error"]
    print(table(head, map(_line, found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
