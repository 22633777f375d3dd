"""PyTorch as most people run it: eager, in inference mode, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import files
from bench.rivals.protocol import Array


@dataclass(frozen=True)
class TorchEager:
    """Licence: BSD."""

    name: str = "torch_eager"
    label: str = "PyTorch, eager"
    environment: str = "torch"
    ours: bool = False
    uses_zeros: bool = False

    def convert(self, folder: Path) -> None:
        """Nothing to do."""

    def load(self, folder: Path, *, threads: int) -> _Module:
        """Set the threads of this process and load the pickled module."""
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        model = torch.load(folder / files.MODULE, weights_only=False).eval()  # our own file, a minute old
        return _Module(model.to(memory_format=torch.channels_last), torch)


class _Module:
    def __init__(self, model: Any, torch: Any) -> None:
        self._model, self._torch, self.version = model, torch, torch.__version__

    def run(self, x: Array) -> Sequence[Array]:
        torch = self._torch
        with torch.inference_mode():
            image = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
            result = self._model(image)
        return [output.numpy() for output in (result if isinstance(result, tuple) else (result,))]
