"""PyTorch as most people run it: eager, in inference mode, channels last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.rivals.torch_module import Loaded, load_module


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

    def load(self, folder: Path, *, threads: int) -> Loaded:
        """Set the threads of this process and load the pickled module."""
        import torch

        def image(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.contiguous(memory_format=torch.channels_last)

        return Loaded(load_module(folder, threads=threads).to(memory_format=torch.channels_last), image)
