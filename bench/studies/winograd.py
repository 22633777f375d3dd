"""Direct kernels against Winograd's algorithm, layer by layer: ``python -m bench.studies.winograd``.

Every 3x3 layer of stride 1 of ResNet-18 and ResNet-50 by itself, dense and pruned: the direct kernel, tiles of 2x2 and
of 4x4 in turns, on one thread; what the transforms take of the faster tile, what each adds to the weights; and which
one the cost model chooses. A pruned layer may be computed dense, too: that time is from the dense layer's row.
``--target x86-64-v3`` runs AVX2 code on a machine with more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.analyse.plan import Plan
from sparsecc.build import build_library, plan_memory
from sparsecc.importer import Imported, import_model
from sparsecc.ir.provenance import BY_SEARCH
from sparsecc.lower.choice import by_cost_model
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.options import Options
from sparsecc.pipeline import algorithms_of, lower_all, rewrite
from sparsecc.rewrite.assemble import assemble
from sparsecc.runtime.library import Library
from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here

#: channels and pixels of a side
LAYERS = ((64, 56), (128, 28), (256, 14), (512, 7))
#: sides of an output tile; 0 is the direct kernel
TILES = (0, 2, 4)
#: choices within so much of the best one are as good
EQUAL = 1.05
_ROUNDS = 80


@dataclass(frozen=True)
class Result:
    """A layer: what its algorithms took.

    Attributes
    ----------
    name : str
    us : dict of AlgorithmConfig to float
        Microseconds, median.
    nbytes : dict of AlgorithmConfig to int
        Of the weights.
    transforms : float
        Share of both transforms in the time of the faster tile.
    chosen : AlgorithmConfig
        What the cost model chose.
    spread : float
        90th over 10th percentile of the direct kernel's times.
    """

    name: str
    us: dict[AlgorithmConfig, float]
    nbytes: dict[AlgorithmConfig, int]
    transforms: float
    chosen: AlgorithmConfig
    spread: float

    @property
    def own(self) -> list[AlgorithmConfig]:
        """Those that were timed in turns: of the pruned layer, or of a dense one."""
        sparse = any(config.sparse for config in self.us)
        return [config for config in self.us if config.sparse == sparse]

    @property
    def lost(self) -> float:
        """Time of the choice over the least."""
        return self.us[self.chosen] / min(self.us.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 where a choice is more than 5 % from the best."""
    parser = parser_of("studies.winograd", __doc__.partition(":")[0])
    add_patterns(parser, sparsity=(0.0, 0.5, 0.75, 0.9))
    parser.add_argument("--target", default="native", help="code for it must run here (default: native)")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="turns of every algorithm (default: %(default)s)")
    parser.add_argument(
        "--layers", nargs="+", type=_layer, default=list(LAYERS), metavar="CHANNELS:SIZE",
        help="channels and pixels of a side (default: those of the ResNets)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    target, _ = resolve_here(options.target)
    torch.set_num_threads(1)
    results: list[Result] = []
    for channels, size in options.layers:
        dense: dict[AlgorithmConfig, float] = {}
        for impose in patterns(options.n, options.sparsity):
            results.append(measured(channels, size, impose, target, rounds=options.rounds, dense=dense))
            dense = dense or results[-1].us
            tell(f"{results[-1].name}: {percent(1 / results[-1].lost)} of the best")
    print(shown(results))
    return int(any(result.lost > EQUAL for result in results))


def _layer(text: str) -> tuple[int, int]:
    channels, _, size = text.partition(":")
    return int(channels), int(size)


def patterns(ns: Sequence[int], sparsities: Sequence[float]) -> Iterator[Impose | None]:
    """The dense layer, and every pattern."""
    yield None
    yield from (Impose(n, sparsity) for sparsity in sparsities if sparsity for n in ns)


def measured(
    channels: int,
    size: int,
    impose: Impose | None,
    target: Target,
    *,
    rounds: int = _ROUNDS,
    dense: Mapping[AlgorithmConfig, float],
) -> Result:
    """Compile a layer by every algorithm and time them in turns; ``dense`` are the times of the dense ones."""
    torch.manual_seed(0)
    x = torch.randn(1, channels, size, size)
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    if impose is not None:
        conv.weight.data = torch.from_numpy(imposed(conv.weight.detach().numpy(), impose))
    imported = import_model(conv, (x,))
    decider = algorithms_of(imported, target, Options(schedules=None))
    plans = {AlgorithmConfig(tile, impose is not None): _plan(decider, tile, impose) for tile in TILES}
    (choice,) = decider.choices().values()
    assert isinstance(choice.default, AlgorithmConfig), "of an algorithm"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        libs = {config: _library(imported, plan, target, Path(folder)) for config, plan in plans.items()}
        times = _timed(libs, x.numpy(), rounds)
        us = {config: median(column) for config, column in times.items()}
        best = min((config for config in us if config.tile), key=us.__getitem__)
        transforms = _transforms(libs[best], x.numpy())
    pattern = "dense" if impose is None else f"1x{impose.block_n} at {100 * impose.sparsity:g} %"
    direct = times[AlgorithmConfig(0, impose is not None)]
    return Result(
        f"{channels} channels at {size}x{size}, {pattern}", {**dense, **us},
        {config: plan.totals.kept_bytes for config, plan in plans.items()}, transforms, choice.default,
        quantile(direct, 0.9) / quantile(direct, 0.1),
    )  # fmt: skip


def _plan(decider: Algorithms, tile: int, impose: Impose | None) -> Plan:
    plan = decider.plan()
    (layer,) = plan.layers
    return decider.computed_by(plan, {layer.key: AlgorithmConfig(tile, impose is not None)}, BY_SEARCH)


def _library(imported: Imported, plan: Plan, target: Target, folder: Path) -> Library:
    made = rewrite(imported, plan, target)
    lowered = lower_all(made, target, by_cost_model)
    assembled = assemble("layer", made.placed, lowered, inputs=imported.inputs, outputs=imported.outputs)
    kernels = compile_object(assembled.functions, target.llvm).data
    program = replace(assembled.program, description={"target": target.name}, structure=imported.structure)
    path = folder / f"{plan.layers[0].tile}.so"
    build_library(
        program, memory=plan_memory(program), kernels=kernels, triple=target.triple, cpu_features=target.cpu_features,
        out=path,
    )  # fmt: skip
    return sparsecc.load(path, threads=1)


def _timed(libs: dict[AlgorithmConfig, Library], x: np.ndarray, rounds: int) -> dict[AlgorithmConfig, list[float]]:
    times: dict[AlgorithmConfig, list[float]] = {config: [] for config in libs}
    for number in range(rounds + 5):
        for config in [*libs][number % len(libs) :] + [*libs][: number % len(libs)]:
            begun = perf_counter()
            libs[config](x)
            if number >= 5:
                times[config].append(1e6 * (perf_counter() - begun))
    return times


def _transforms(lib: Library, x: np.ndarray) -> float:
    steps = lib.profile(x, runs=30)
    return sum(seconds for key, seconds in steps if "_winograd_" in key) / sum(seconds for _, seconds in steps)


def shown(results: Sequence[Result]) -> str:
    """A row a layer; the least time in bold, what tiles add to the weights in brackets, and the model's choice."""
    head = ["layer", "direct, us (kB)", "2x2", "4x4", "gain", "transforms", "chosen", "of the best", "spread"]

    def row(result: Result) -> list[str]:
        least, direct = min(result.us.values()), result.own[0]

        def cell(config: AlgorithmConfig) -> str:
            us, kb = result.us[config], (result.nbytes[config] - (config.tile > 0) * result.nbytes[direct]) / 1e3
            time = f"**{us:.0f}**" if us == least else f"{us:.0f}"
            return f"{time} ({'+' * (config.tile > 0)}{kb:.0f})"

        cells = [cell(config) for config in result.own]
        best = min(result.us[config] for config in result.own)
        return [
            result.name, *cells, f"{result.us[direct] / best:.2f}x", percent(result.transforms), result.chosen.label,
            percent(1 / result.lost), f"{result.spread:.2f}",
        ]  # fmt: skip

    return table(head, [row(result) for result in results])


if __name__ == "__main__":
    raise SystemExit(main())
