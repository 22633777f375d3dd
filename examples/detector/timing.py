"""Time of one image: the library, PyTorch and, where it is installed, ONNX Runtime in turns, on one thread each."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

import sparsecc

Call = Callable[[Tensor], object]


class AsTuple(nn.Module):
    """A detector whose outputs are a tuple, as ONNX has them."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The values of the detector's dictionary."""
        return tuple(self.detector(image).values())


def engines(net: nn.Module, library: sparsecc.Compiled, image: Tensor) -> dict[str, Call]:
    """What can run a network, by name."""
    found: dict[str, Call] = {"PyTorch": net, "library": library}
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        found["ONNX Runtime"] = _in_onnx_runtime(net, image)
    return found


def _in_onnx_runtime(net: nn.Module, image: Tensor) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/detector.onnx"
        torch.onnx.export(AsTuple(net).eval(), (image,), path, dynamo=False, input_names=["image"])
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"image": x.numpy()})


def milliseconds(
    calls: Mapping[tuple[str, str], Call], image: Tensor, *, rounds: int = 15
) -> dict[tuple[str, str], float]:
    """Median time of one image, by network and engine; all in turns."""
    torch.set_num_threads(1)
    times: dict[tuple[str, str], list[float]] = {name: [] for name in calls}
    with torch.no_grad():
        for _ in range(rounds):
            for name, call in calls.items():
                begin = time.perf_counter()
                for _ in range(10):
                    call(image)
                times[name].append((time.perf_counter() - begin) * 100)
    return {name: statistics.median(found) for name, found in times.items()}
