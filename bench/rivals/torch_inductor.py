"""PyTorch compiled: ``torch.compile`` with inductor and frozen weights. It needs a C++ compiler, as PyTorch says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.rivals.files import INPUT
from bench.rivals.torch_module import Loaded, load_module


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

    def load(self, folder: Path, *, threads: int) -> Loaded:
        """Compile, which the first run does; in this process alone, so that no other one is left waiting."""
        os.environ |= {
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TORCHINDUCTOR_FREEZING": "1",
        }
        import numpy as np
        import torch

        compiled = Loaded(torch.compile(load_module(folder, threads=threads)))
        compiled.run(np.load(folder / INPUT))
        return compiled
