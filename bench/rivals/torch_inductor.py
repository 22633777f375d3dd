"""PyTorch compiled: ``torch.compile`` with inductor and frozen weights. It needs a C++ compiler, as PyTorch says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import files
from bench.rivals.protocol import Array


@dataclass(frozen=True)
class TorchInductor:
    """Licence: BSD."""

    name: str = "torch_inductor"
    label: str = "PyTorch, inductor"
    environment: str = "torch"
    ours: bool = False
    uses_zeros: bool = False

    def convert(self, folder: Path) -> None:
        """Nothing to do: it compiles in the process that runs, for that process' threads."""

    def load(self, folder: Path, *, threads: int) -> _Compiled:
        """Compile, which the first run does; in this process alone, so that no other one is left waiting."""
        os.environ |= {
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TORCHINDUCTOR_FREEZING": "1",
        }
        import numpy as np
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        model = torch.load(folder / files.MODULE, weights_only=False).eval()  # our own file, a minute old
        compiled = _Compiled(torch.compile(model), torch)
        compiled.run(np.load(folder / files.INPUT))
        return compiled


class _Compiled:
    def __init__(self, model: Any, torch: Any) -> None:
        self._model, self._torch, self.version = model, torch, torch.__version__

    def run(self, x: Array) -> Sequence[Array]:
        with self._torch.inference_mode():
            result = self._model(self._torch.from_numpy(x))
        return [output.numpy() for output in (result if isinstance(result, tuple) else (result,))]
