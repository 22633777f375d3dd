"""The engines that can take part, by name; bench/README.md says how to add one."""

from __future__ import annotations

from bench.rivals.onnx_runtime import OnnxRuntime
from bench.rivals.ours import Ours
from bench.rivals.protocol import Rival
from bench.rivals.torch_eager import TorchEager

_ALL: list[Rival] = [
    Ours("sparsecc", "sparsecc", uses_zeros=True),
    Ours("sparsecc_dense", "sparsecc, dense", uses_zeros=False),
    OnnxRuntime(),
    TorchEager(),
]

RIVALS: dict[str, Rival] = {rival.name: rival for rival in _ALL}
