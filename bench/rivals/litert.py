"""LiteRT, once TensorFlow Lite, with its XNNPACK kernels: they skip zeros on some CPUs, but not on those with AVX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.rivals.files import INPUT, MODULE
from bench.rivals.protocol import Array

_NETWORK = "litert.tflite"


@dataclass(frozen=True)
class LiteRt:
    """Licence: Apache 2.0, the converter too; XNNPACK: BSD 3-clause."""

    name: str = "litert"
    label: str = "LiteRT (XNNPACK)"
    environment: str = "litert"
    ours: bool = False
    uses_zeros: bool = False

    def convert(self, folder: Path) -> None:
        """Convert from PyTorch, with LiteRT's own converter."""
        import litert_torch  # type: ignore[import-not-found,unused-ignore]
        import numpy as np
        import torch

        model = torch.load(folder / MODULE, weights_only=False).eval()  # our own file, a minute old
        x = torch.from_numpy(np.load(folder / INPUT))
        litert_torch.convert(model, (x,)).export(str(folder / _NETWORK))

    def load(self, folder: Path, *, threads: int) -> _Interpreter:
        """XNNPACK is what the interpreter uses by default."""
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found,unused-ignore]

        interpreter = Interpreter(str(folder / _NETWORK), num_threads=threads)
        interpreter.allocate_tensors()
        return _Interpreter(interpreter, version("ai-edge-litert"))


class _Interpreter:
    def __init__(self, interpreter: Any, version: str) -> None:
        self._interpreter, self.version = interpreter, version
        self._input = interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in interpreter.get_output_details()]

    def run(self, x: Array) -> Sequence[Array]:
        self._interpreter.set_tensor(self._input, x)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
