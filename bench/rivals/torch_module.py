"""The pruned module in PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.rivals.files import MODULE
from bench.rivals.protocol import Array


def load_module(folder: Path, *, threads: int) -> Any:
    """Load the pickled module, and set the threads of this process."""
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    return torch.load(folder / MODULE, weights_only=False).eval()  # our own file, a minute old


class Loaded:
    """A module that is ready to run; ``image`` makes what it reads from the input's tensor."""

    def __init__(self, module: Any, image: Callable[[Any], Any] = lambda tensor: tensor) -> None:
        import torch

        self._module, self._image, self._torch, self.version = module, image, torch, torch.__version__

    def run(self, x: Array) -> Sequence[Array]:
        """Run once."""
        with self._torch.inference_mode():
            result = self._module(self._image(self._torch.from_numpy(x)))
        return [output.numpy() for output in (result if isinstance(result, tuple) else (result,))]
