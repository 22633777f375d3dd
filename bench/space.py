"""How far the cost model's configs are from the best: ``python -m bench.space``.

Every distinct convolution kernel of a network is built with all legal configs whose predicted time is not hopeless,
with the layer's real weights, indices and layouts, and timed alone on one thread. The fastest and the cost model's are
then timed again in turns, for the fastest of so many noisy figures is partly luck.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("TVM_NUM_THREADS", "1")  # before TVM starts its threads

import numpy as np

from bench.markdown import table
from bench.prepare import pruned_net
from bench.results import Cell
from sparsecc._tvm import PIPELINE, IRModule, tirx, tvm
from sparsecc.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.cost.direct import DirectWork, best_config, direct_space, predict
from sparsecc.dump import Dump
from sparsecc.facts.graph import Chain, FusedConv, Node
from sparsecc.importer import import_model
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.machine.calibrate import resolve_here
from sparsecc.options import Options
from sparsecc.pipeline import Rewritten, analyse, rewrite
from sparsecc.rewrite.lower import lower
from sparsecc.rewrite.lowered import Lowered
from sparsecc.target import Target

_HOPELESS = 1.6  # times the least predicted time: no layer's best was beyond
_FINALISTS, _TURNS = 4, 9
_QUICK_MS, _TURN_MS = 3, 4
Config = DirectConfig | LaneConfig
_NETS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")


@dataclass(frozen=True)
class Found:
    """One distinct kernel: how often a network has it, microseconds of the cost model's config and of the best."""

    key: str
    count: int
    configs: int
    picked: str
    picked_us: float
    best: str
    best_us: float

    @property
    def excess(self) -> float:
        """Time of the picked config above the best one's, as a share."""
        return self.picked_us / self.best_us - 1


def search(cell: Cell, target: Target) -> Iterator[Found]:
    """Search the space of every distinct convolution kernel of a cell's network."""
    model, _ = pruned_net(cell)
    x = np.zeros((1, 3, cell.size, cell.size), np.float32)
    imported = import_model(model, (x,))
    plan = analyse(imported, target, Options())
    made = rewrite(imported, plan, target, Dump(None))
    layers = _Layers(made, {layer.key: layer for layer in plan.layers}, target)
    groups: dict[object, list[str]] = {}
    for key in layers.keys:
        groups.setdefault(layers.kernel(key), []).append(key)
    for keys in groups.values():
        yield _search_layer(layers, keys)


class _Layers:
    """Convolutions of a network that can be lowered with any config."""

    def __init__(self, made: Rewritten, plans: dict[str, object], target: Target) -> None:
        self._made, self._plans, self.target = made, plans, target
        self._nodes: dict[str, Node] = {n.key: n for n in made.placed.nodes if _is_direct(n)}

    @property
    def keys(self) -> Sequence[str]:
        return tuple(self._nodes)

    def kernel(self, key: str) -> object:
        """Equal for layers that run the same code on equally many kept blocks."""
        return self._lower(key).identity

    def space(self, key: str) -> tuple[Config, list[Config]]:
        """The cost model's choice, and every config whose predicted time is not hopeless."""
        seen: list[DirectWork] = []

        def spy(work: DirectWork, target: Target) -> DirectConfig:
            seen.append(work)
            return best_config(work, target)

        self._lower(key, spy)
        work, target = seen[-1], self.target
        spec = _conv(self._nodes[key]).layer.spec
        times: dict[Config, float] = {c: predict(work, c, target) for c in direct_space(work, target)}
        lanes = None if work.joined else lane_config(spec, block_n=work.block_n, target=target)
        if lanes is not None:
            times[lanes] = predict_lanes(spec, work, lanes, target)
        picked = min(times, key=lambda config: times[config])
        return picked, [config for config, time in times.items() if time <= _HOPELESS * times[picked]]

    def with_config(self, key: str, config: Config) -> Lowered:
        return self._lower(key, lambda work, target: config)

    def _lower(self, key: str, choose: object = None) -> Lowered:
        made = self._made
        return lower(self._nodes[key], made.placed, made.module, self._plans, self.target, choose)


def _is_direct(node: Node) -> bool:
    if not isinstance(node.operator, Chain | FusedConv):
        return False
    spec = _conv(node).layer.spec
    return not (spec.is_linear or spec.is_depthwise)


def _conv(node: Node) -> FusedConv:
    return node.operator.conv if isinstance(node.operator, Chain) else node.operator


def _search_layer(layers: _Layers, keys: Sequence[str]) -> Found:
    picked, worth = layers.space(keys[0])
    timers = {config: _Timer(layers.with_config(keys[0], config), layers.target) for config in worth}
    quick = {config: timer.us(_QUICK_MS) for config, timer in timers.items()}
    finalists = {picked, *sorted(worth, key=lambda config: quick[config])[:_FINALISTS]}
    turns: dict[Config, list[float]] = {config: [] for config in finalists}
    for _ in range(_TURNS):
        for config in finalists:
            turns[config].append(timers[config].us(_TURN_MS))
    times = {config: median(us) for config, us in turns.items()}
    best = min(times, key=lambda config: times[config])
    return Found(keys[0], len(keys), len(worth), _name(picked), times[picked], _name(best), times[best])


class _Timer:
    """A kernel with its arguments, ready to be timed."""

    def __init__(self, lowered: Lowered, target: Target) -> None:
        function = lowered.function.with_attr("global_symbol", "kernel")
        llvm = tvm.target.Target(dict(target.llvm))
        self._module = tirx.build(IRModule({"kernel": function}), target=llvm, pipeline=PIPELINE)
        rng = np.random.default_rng(0)
        self._arguments = []
        for buffer, value in zip(lowered.function.params, lowered.arguments, strict=True):
            if isinstance(value, int):
                value = rng.standard_normal([int(extent) for extent in buffer.ty.shape]).astype(np.float32)
            self._arguments.append(tvm.runtime.tensor(np.ascontiguousarray(value)))

    def us(self, least_ms: float) -> float:
        """Microseconds of a call, the mean over at least so many milliseconds."""
        timed = self._module.time_evaluator("kernel", tvm.cpu(), number=1, repeat=1, min_repeat_ms=int(least_ms))
        return float(timed(*self._arguments).results[0]) * 1e6


def _name(config: Config) -> str:
    if isinstance(config, LaneConfig):
        return f"channels as lanes, {config.rows} x {config.cols} pixels"
    order = "rows outer" if config.rows_outer else "tiles outer"
    singles = f" and {config.singles} single" if config.singles else ""
    return f"{config.reg_n} x {config.vectors} vectors of {config.lanes}{singles}, {order}"


def _summary(cell: Cell, found: Sequence[Found]) -> list[str]:
    picked, best = sum(f.count * f.picked_us for f in found), sum(f.count * f.best_us for f in found)
    worst = max(found, key=lambda f: f.excess)
    pattern = "dense" if cell.is_dense else f"1x{cell.n} {100 * cell.sparsity:g} %"
    beyond = sum(f.excess > 0.1 for f in found)
    name, slowest = f"{cell.net}, {pattern}", f"{100 * worst.excess:.0f} %, {worst.key}"
    counts = [f"{len(found)}", f"{sum(f.configs for f in found)}"]
    times = [f"{picked / 1e3:.2f}", f"{best / 1e3:.2f}", f"{100 * (picked / best - 1):.1f} %"]
    return [name, *counts, *times, f"{beyond}", slowest]


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print a table, write all figures."""
    p = argparse.ArgumentParser(prog="python -m bench.space", description="The cost model's configs against the best.")
    p.add_argument("--nets", nargs="+", default=_NETS, metavar="NET")
    p.add_argument("--n", nargs="+", type=int, default=[4, 16], help="output channels of a block (default: 4 16)")
    p.add_argument("--sparsity", nargs="+", type=float, default=[0.0, 0.75], help="(default: 0 0.75)")
    p.add_argument("--target", default="native")
    p.add_argument("--out", default="space.json")
    options = p.parse_args(arguments)
    (target, _), all_found, lines = resolve_here(options.target), {}, []
    for cell in _cells(options):
        found = list(search(cell, target))
        lines.append(_summary(cell, found))
        all_found[lines[-1][0]] = [asdict(f) for f in found]
        print(" | ".join(lines[-1]), flush=True)
        Path(options.out).write_text(json.dumps(all_found, indent=1))
    print(table(["network", "kernels", "configs", "ms", "best, ms", "above it", "over 10 %", "worst"], lines))
    return 0


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    for net in options.nets:
        for sparsity in options.sparsity:
            for n in options.n if sparsity else [1]:
                yield Cell(net=net, n=n, sparsity=sparsity, threads=1)


if __name__ == "__main__":
    raise SystemExit(main())
