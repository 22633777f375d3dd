"""sparsecc itself, sparse and with every layer kept dense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rivals.files import INPUT, MODULE
from bench.rivals.protocol import Array

_FLOAT = _INDEX = 4  # bytes
_PROFILE_RUNS = 20


@dataclass(frozen=True)
class Ours:
    """The same compiler and network, sparse or dense: dense ignores the zeros.

    ``threads`` is for a participant that stays at so many in every cell, to show what the others gain; 0 leaves the
    number to the library, as it is for who says nothing.
    """

    name: str
    label: str
    uses_zeros: bool
    threads: int | None = None
    environment: str = "sparsecc"
    ours: bool = True

    def convert(self, folder: Path) -> None:
        """Compile for this machine. The benchmark checks the result itself, so the compiler need not."""
        if self.library(folder).exists():  # another participant's, on other threads
            return
        import numpy as np
        import torch

        import sparsecc

        model = torch.load(folder / MODULE, weights_only=False)
        x = torch.from_numpy(np.load(folder / INPUT))
        keep_dense = () if self.uses_zeros else ("*",)
        compiled = sparsecc.compile(model, example_inputs=(x,), keep_dense=keep_dense, verify=False)
        compiled.save(self.library(folder))

    def load(self, folder: Path, *, threads: int) -> _Loaded:
        """Load the library: this process has neither torch nor TVM."""
        import sparsecc

        chosen = threads if self.threads is None else self.threads
        return _Loaded(sparsecc.load(self.library(folder), threads=chosen), sparsecc.__version__)

    def library(self, folder: Path) -> Path:
        """Where the compiled library is."""
        return folder / ("sparse.so" if self.uses_zeros else "dense.so")


class _Loaded:
    def __init__(self, library: Any, version: str) -> None:
        self._library, self.version = library, version

    def run(self, x: Array) -> Sequence[Array]:
        result = self._library(x)
        return result if isinstance(result, tuple) else (result,)

    def layers(self, x: Array) -> list[dict[str, Any]]:
        report = self._library.report
        planned = {layer["key"]: layer for layer in report["plan"]["layers"]}
        steps = {step["key"]: step for step in report["steps"]}
        times = self._library.profile(x, runs=_PROFILE_RUNS)
        return [
            {"key": key, "kind": kind, "ms": 1e3 * seconds, **_work_of_step(key, joined, planned)}
            for key, seconds in times
            for kind, joined in [_kind_and_joined(steps.get(key))]
        ]


def _kind_and_joined(step: dict[str, Any] | None) -> tuple[str, list[str]]:
    return ("other", []) if step is None else (step["kind"], step["joined"])


def _work_of_step(key: str, joined: list[str], planned: dict[str, Any]) -> dict[str, int]:
    """Work of a step's layer and of those that it computes too; the images between them are never moved."""
    work = _work(planned.get(key))
    for other in (planned[name] for name in joined if name in planned):
        more, between = _work(other), _spec(other)
        inside = 2 * between.n * between.ic * between.ih * between.iw * _FLOAT
        work = {"macs": work["macs"] + more["macs"], "bytes": work["bytes"] + more["bytes"] - inside}
    return work


def _work(layer: dict[str, Any] | None) -> dict[str, int]:
    """Multiply-adds of a planned layer, and the bytes it must at least move: image in, weights, image out."""
    if layer is None:
        return {"macs": 0, "bytes": 0}
    spec = _spec(layer)
    structure = layer["structure"] if layer["decision"] == "sparse" else None
    weights, macs = math.prod(spec.weight_shape) * _FLOAT, spec.macs
    if structure is not None:
        stored = structure["nnzb"] * structure["block_n"] * spec.taps
        weights, macs = stored * _FLOAT + structure["nnzb"] * _INDEX, stored * spec.n * spec.oh * spec.ow
    images = spec.n * (spec.ic * spec.ih * spec.iw + spec.oc * spec.oh * spec.ow)
    return {"macs": macs, "bytes": images * _FLOAT + weights}


def _spec(layer: dict[str, Any]) -> Any:
    from sparsecc.ir.conv import ConvSpec

    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in layer["spec"].items()}
    return ConvSpec(**fields)
