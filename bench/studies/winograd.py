"""Direct kernels against Winograd's algorithm, layer by layer: ``python -m bench.studies.winograd``.

Every 3x3 layer of stride 1 of ResNet-18 and ResNet-50 by itself, dense and pruned: the direct kernel, tiles of 2x2 and
of 4x4 in turns, on one thread; what the transforms take of the faster tile; and which one the cost model chooses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn

import sparsecc
from bench.command import add_patterns, parser_of, tell
from bench.results.stats import quantile
from bench.showing.markdown import percent, table
from sparsecc._codegen import compile_object
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.build import build_library
from sparsecc.importer import Imported, import_model
from sparsecc.lower.choice import by_cost_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse, lower_all, rewrite
from sparsecc.rewrite.assemble import assemble
from sparsecc.runtime.library import Library
from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here

#: channels and pixels of a side
LAYERS = ((64, 56), (128, 28), (256, 14), (512, 7))
#: sides of an output tile; None is the direct kernel
TILES = (None, 2, 4)
#: choices within so much of the best one are as good
_EQUAL = 1.05
_ROUNDS = 80


@dataclass(frozen=True)
class Result:
    """A layer: what its algorithms took.

    Attributes
    ----------
    name : str
    us : dict of int or None to float
        Side of a tile, None for the direct kernel -> microseconds, median.
    transforms : float
        Share of both transforms in the time of the faster tile.
    chosen : int or None
        What the cost model chose.
    spread : float
        90th over 10th percentile of the direct kernel's times.
    """

    name: str
    us: dict[int | None, float]
    transforms: float
    chosen: int | None
    spread: float

    @property
    def lost(self) -> float:
        """Time of the choice over the least."""
        return self.us[self.chosen] / min(self.us.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 where a choice is more than 5 % from the best."""
    parser = parser_of("studies.winograd", __doc__.partition(":")[0])
    add_patterns(parser, sparsity=(0.0, 0.5, 0.75, 0.9))
    parser.add_argument("--target", default="native", help="code for it must run here (default: native)")
    options = parser.parse_args(arguments)
    target, _ = resolve_here(options.target)
    torch.set_num_threads(1)
    results = []
    for channels, size in LAYERS:
        for impose in patterns(options.n, options.sparsity):
            results.append(measured(channels, size, impose, target))
            tell(f"{results[-1].name}: {percent(1 / results[-1].lost)} of the best")
    print(shown(results))
    return int(any(result.lost > _EQUAL for result in results))


def patterns(ns: Sequence[int], sparsities: Sequence[float]) -> Iterator[Impose | None]:
    """The dense layer once, and every pattern."""
    for sparsity in sparsities:
        if sparsity == 0:
            yield None
        else:
            yield from (Impose(n, sparsity) for n in ns)


def measured(channels: int, size: int, impose: Impose | None, target: Target) -> Result:
    """Compile a layer by every algorithm and time them in turns."""
    torch.manual_seed(0)
    x = torch.randn(1, channels, size, size)
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    if impose is not None:
        conv.weight.data = torch.from_numpy(imposed(conv.weight.detach().numpy(), impose))
    imported = import_model(conv, (x,))
    (plan,) = analyse(imported, target, Options(schedules=None)).layers
    chosen = plan.tile if (plan.decision == "sparse") == (impose is not None) else None
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        libs = {tile: _library(imported, impose, tile, target, Path(folder)) for tile in TILES}
        times = _timed(libs, x.numpy())
        us = {tile: median(column) for tile, column in times.items()}
        best = min((tile for tile in TILES if tile is not None), key=us.__getitem__)
        transforms = _transforms(libs[best], x.numpy())
    pattern = "dense" if impose is None else f"1x{impose.block_n} at {100 * impose.sparsity:g} %"
    spread = quantile(times[None], 0.9) / quantile(times[None], 0.1)
    return Result(f"{channels} channels at {size}x{size}, {pattern}", us, transforms, chosen, spread)


def _library(imported: Imported, impose: Impose | None, tile: int | None, target: Target, folder: Path) -> Library:
    options = Options(schedules=None, winograd=False, min_speedup=1e-9 if impose else 1.05)
    plan = analyse(imported, target, options)
    forced = replace(plan, layers=tuple(replace(layer, tile=tile) for layer in plan.layers))
    made = rewrite(imported, forced, target)
    lowered = lower_all(made, target, lambda key: by_cost_model)
    assembled = assemble("layer", made.placed, lowered, inputs=imported.inputs, outputs=imported.outputs)
    kernels, _ = compile_object(assembled.functions, target.llvm)
    program = replace(assembled.program, description={"target": target.name}, structure=imported.structure)
    path = folder / f"{tile}.so"
    build_library(program, kernels=kernels, triple=target.triple, cpu_features=target.cpu_features, out=path)
    return sparsecc.load(path, threads=1)


def _timed(libs: dict[int | None, Library], x: np.ndarray) -> dict[int | None, list[float]]:
    times: dict[int | None, list[float]] = {tile: [] for tile in libs}
    for number in range(_ROUNDS + 5):
        for tile in [*libs][number % len(libs) :] + [*libs][: number % len(libs)]:
            begun = perf_counter()
            libs[tile](x)
            if number >= 5:
                times[tile].append(1e6 * (perf_counter() - begun))
    return times


def _transforms(lib: Library, x: np.ndarray) -> float:
    steps = lib.profile(x, runs=30)
    return sum(seconds for key, seconds in steps if "_winograd_" in key) / sum(seconds for _, seconds in steps)


def shown(results: Sequence[Result]) -> str:
    """A row a layer; the least time in bold, and the model's choice."""
    head = ["layer", "direct, us", "2x2, us", "4x4, us", "gain", "transforms", "chosen", "of the best", "spread"]

    def row(result: Result) -> list[str]:
        least = min(result.us.values())
        cells = [f"**{us:.0f}**" if us == least else f"{us:.0f}" for us in (result.us[tile] for tile in TILES)]
        chosen = "direct" if result.chosen is None else f"{result.chosen}x{result.chosen}"
        return [
            result.name, *cells, f"{result.us[None] / least:.2f}x", percent(result.transforms), chosen,
            percent(1 / result.lost), f"{result.spread:.2f}",
        ]  # fmt: skip

    return table(head, [row(result) for result in results])


if __name__ == "__main__":
    raise SystemExit(main())
