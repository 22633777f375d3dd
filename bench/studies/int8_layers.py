"""Layers in 8-bit integers alone: ``python -m bench.studies.int8_layers``.

Each layer dense and pruned, by the default config: what the cost model predicts, what the kernel takes on one thread,
and whether dense or sparse is the right choice. Codes are random, everything is in the caches: runs follow one another.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.command import parser_of
from bench.showing.markdown import table
from sparsecc._codegen import PIPELINE
from sparsecc._tvm import IRModule, tirx, tvm
from sparsecc.advice.structures import structure_of
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout, compact
from sparsecc.ir.quantized import Quantization, QuantizedConv
from sparsecc.kernels.int8.shape import OVERREAD, Result, parameters
from sparsecc.lower.int8.conv import function_of, packed
from sparsecc.lower.int8.options import QuantConfig, QuantOptions
from sparsecc.lower.int8.price import coded_cycles
from sparsecc.options import MIN_SPEEDUP
from sparsecc.target import Target, resolve

_ONES = (1, 1, 1, 1)
_READS, _WRITES = Quantization(0.02, 3, "uint8"), Quantization(0.05, 0, "uint8")
_RUN_S = 0.01
LAYERS = {
    "1x1, 128 to 128, 56x56": ConvSpec(1, 128, 56, 56, 128),
    "1x1, 64 to 256, 56x56": ConvSpec(1, 64, 56, 56, 256),
    "1x1, 512 to 512, 14x14": ConvSpec(1, 512, 14, 14, 512),
    "1x1, 1024 to 256, 14x14": ConvSpec(1, 1024, 14, 14, 256),
    "1x1, 960 to 160, 7x7": ConvSpec(1, 960, 7, 7, 160),
    "1x1, 256 to 512, 14x14, stride 2": ConvSpec(1, 256, 28, 28, 512, 1, 1, (2, 2)),
    "3x3, 64 to 64, 56x56": ConvSpec(1, 64, 56, 56, 64, 3, 3, padding=_ONES),
    "3x3, 128 to 128, 28x28": ConvSpec(1, 128, 28, 28, 128, 3, 3, padding=_ONES),
    "3x3, 256 to 256, 14x14": ConvSpec(1, 256, 14, 14, 256, 3, 3, padding=_ONES),
    "3x3, 512 to 512, 7x7": ConvSpec(1, 512, 7, 7, 512, 3, 3, padding=_ONES),
    "3x3, 64 to 128, 28x28, stride 2": ConvSpec(1, 64, 56, 56, 128, 3, 3, (2, 2), _ONES),
    "3x3, 256 to 512, 7x7, stride 2": ConvSpec(1, 256, 14, 14, 512, 3, 3, (2, 2), _ONES),
    "7x7, 3 to 64, 112x112, stride 2": ConvSpec(1, 3, 224, 224, 64, 7, 7, (2, 2), (3, 3, 3, 3)),
    "3x3, 3 to 32, 112x112, stride 2": ConvSpec(1, 3, 224, 224, 32, 3, 3, (2, 2), _ONES),
    "linear, 512 to 1000": ConvSpec(1, 512, 1, 1, 1000),
}


@dataclass(frozen=True)
class Timed:
    """A kernel's config, useful multiply-adds, predicted cycles and seconds."""

    config: QuantConfig
    macs: float
    predicted: float
    seconds: float

    @property
    def rate(self) -> float:
        """10^9 multiply-adds a second."""
        return self.macs / self.seconds / 1e9


def options_of(spec: ConvSpec, target: Target, *, n: int, sparsity: float) -> QuantOptions:
    """A layer of random codes; a sparsity of 0 is a dense one."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, spec.weight_shape).astype(np.float32)
    grouping = None
    if sparsity:
        weight = imposed(weight, Impose(n, sparsity), groups=spec.groups)
        grouping = aligned_grouping(spec.oc, groups=spec.groups, block_n=n)
    scales = np.full(spec.oc, 0.005 / np.sqrt(spec.ic_per_group * spec.taps), np.float32)
    operator = QuantizedConv(
        "layer", "layer", spec, weight.astype(np.int8), scales, np.zeros(spec.oc, np.float32), _READS, _WRITES, 0, 255
    )
    result = Result(_layout(spec.oh, spec.ow), _WRITES, 0, 255)
    return QuantOptions(operator, _layout(spec.ih, spec.iw), result, target, grouping)


def _layout(height: int, width: int) -> PlaneLayout:
    made = compact(height, width)
    return replace(made, tail=made.tail + OVERREAD)


def timed(options: QuantOptions, config: QuantConfig) -> Timed:
    """Build the kernel and run it: the least of several means."""
    shape, constants = packed(options, config)
    module = IRModule({"main": function_of(shape, config).with_attr("global_symbol", "called")})
    target = tvm.target.Target(dict(options.target.for_codes().llvm))
    built: Any = tirx.build(module, target=target, pipeline=PIPELINE)
    spec, rng = shape.spec, np.random.default_rng(1)
    values = {
        **constants,
        "input": rng.integers(0, 256, shape.source.size(spec.n * spec.ic)).astype(np.uint8),
        "output": np.zeros(shape.result.layout.size(spec.n * spec.oc), np.uint8),
    }
    tensors = [tvm.runtime.tensor(np.ascontiguousarray(values[name])) for name, _ in parameters(shape)]
    found = built.time_evaluator("called", tvm.cpu(), number=1, repeat=40, min_repeat_ms=int(1e3 * _RUN_S) // 10 or 1)
    kept = np.count_nonzero(options.operator.weight) if options.grouping is not None else options.operator.weight.size
    return Timed(
        config, float(kept) * spec.oh * spec.ow * spec.n, options.predict(config), min(found(*tensors).results)
    )


def right(dense: float, sparse: float, chosen: bool) -> str:
    """What was chosen, and what it loses where the other is faster."""
    took, best = (sparse, min(dense, sparse)) if chosen else (dense, min(dense, sparse))
    return f"{'sparse' if chosen else 'dense'}" + (f", {took / best:.2f}x" if took > 1.005 * best else "")


def row_of(name: str, target: Target, *, n: int, sparsity: float, dense: Timed) -> list[str]:
    """A line of the table."""
    spec = LAYERS[name]
    options = options_of(spec, target, n=n, sparsity=sparsity)
    sparse = timed(options, options.default())
    structure = structure_of(spec, Impose(n, sparsity))
    predicted = coded_cycles(spec, None, target) / coded_cycles(spec, structure, target)
    return [
        name, f"1x{n}, {100 * sparsity:.0f} %", f"{1e6 * dense.seconds:.1f}", f"{1e6 * sparse.seconds:.1f}",
        f"{sparse.rate:.0f}", f"{dense.seconds / sparse.seconds:.2f}", f"{predicted:.2f}",
        right(dense.seconds, sparse.seconds, predicted >= MIN_SPEEDUP), str(sparse.config.knobs()),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print two tables: dense layers, pruned ones."""
    p: argparse.ArgumentParser = parser_of("studies.int8_layers", "Layers in 8-bit integers alone.")
    p.add_argument("--layer", nargs="+", default=["*"], help="beginnings of names (default: all)")
    p.add_argument("--n", type=int, nargs="+", default=[4, 16])
    p.add_argument("--sparsity", type=float, nargs="*", default=[0.5, 0.75, 0.9])
    o = p.parse_args(arguments)
    target = resolve("native")
    names = [name for name in LAYERS if "*" in o.layer or any(name.startswith(text) for text in o.layer)]
    found = {name: _dense(name, target) for name in names}
    shown = [
        [name, f"{1e6 * t.seconds:.1f}", f"{t.rate:.0f}", f"{t.predicted / t.seconds / 1e9:.2f}", str(t.config.knobs())]
        for name, t in found.items()
    ]
    print(table(["layer", "us", "10^9 multiply-adds/s", "predicted cycles a ns", "config"], shown))
    heads = ["layer", "pattern", "dense, us", "us", "10^9 multiply-adds/s", "faster", "predicted", "choice", "config"]
    pruned = [name for name in names if LAYERS[name].ic > 3]
    rows = [
        row_of(name, target, n=n, sparsity=s, dense=found[name]) for name in pruned for n in o.n for s in o.sparsity
    ]
    if rows:
        print()
        print(table(heads, rows))
    return 0


def _dense(name: str, target: Target) -> Timed:
    options = options_of(LAYERS[name], target, n=1, sparsity=0.0)
    return timed(options, options.default())


if __name__ == "__main__":
    raise SystemExit(main())
