"""MNN on the CPU, dense and with its kernels for pruned weights.

The converter is called as a library: the script ``mnnconvert`` that comes with it would install a telemetry package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.rivals.files import ONNX
from bench.rivals.protocol import Array

_BLOCK = 4  # output channels: those of its sparse kernel in the package, which has AVX2 and no AVX-512
_SESSION = {"precision": "high", "backend": "CPU"}
# Winograd's tiles: at the largest, level 3 and the default, a ResNet's error is 1e-4 to 3e-3; at 2 it is 1e-6 to 3e-5
_WINOGRAD_LEVEL_HINT, _WINOGRAD_LEVEL = 3, 2


@dataclass(frozen=True)
class Mnn:
    """Licence: Apache 2.0; the package says BSD 3-clause."""

    name: str
    label: str
    uses_zeros: bool
    environment: str = "mnn"
    ours: bool = False

    def convert(self, folder: Path) -> None:
        """Convert from ONNX; MNN decides layer by layer whether its sparse kernel is worth it."""
        import _tools  # type: ignore[import-not-found,unused-ignore]

        command = ["mnnconvert", "-f", "ONNX", "--bizCode", "bench"]
        command += ["--modelFile", str(folder / ONNX), "--MNNModel", str(self._network(folder))]
        if self.uses_zeros:
            pattern = folder / f"{self.name}.pattern"
            pattern.write_bytes(block_pattern(_BLOCK))
            command += ["--detectSparseSpeedUp", "--compressionParamsFile", str(pattern)]
        _tools.mnnconvert(command)
        if not self._network(folder).exists():
            raise RuntimeError("MNN's converter wrote no network")

    def load(self, folder: Path, *, threads: int) -> _Session:
        """High precision is float32; without it MNN may compute in half precision."""
        import MNN  # type: ignore[import-not-found,unused-ignore]

        interpreter = MNN.Interpreter(str(self._network(folder)))
        interpreter.setSessionHint(_WINOGRAD_LEVEL_HINT, _WINOGRAD_LEVEL)
        return _Session(MNN, interpreter, interpreter.createSession({"numThread": threads, **_SESSION}))

    def _network(self, folder: Path) -> Path:
        return folder / f"{self.name}.mnn"


class _Session:
    def __init__(self, mnn: Any, interpreter: Any, session: Any) -> None:
        self._mnn, self._interpreter, self._session = mnn, interpreter, session
        self._input = interpreter.getSessionInput(session)
        self._outputs = list(interpreter.getSessionOutputAll(session).values())
        self._x: Array | None = None
        self._host: Any = None
        self.version: str = mnn.version()

    def run(self, x: Array) -> Sequence[Array]:
        if x is not self._x:  # a tensor is a copy of the array; to make it again for every run would be our doing
            self._x, self._host = x, self._tensor(x)
        self._input.copyFrom(self._host)
        self._interpreter.runSession(self._session)
        return [self._read(output) for output in self._outputs]

    def _read(self, output: Any) -> Array:
        host = self._tensor(np.zeros(output.getShape(), np.float32))
        output.copyToHostTensor(host)
        return np.array(host.getNumpyData(), np.float32).reshape(output.getShape())

    def _tensor(self, x: Array) -> Any:
        return self._mnn.Tensor(x.shape, self._mnn.Halide_Type_Float, x, self._mnn.Tensor_DimensionType_Caffe)


def block_pattern(block: int) -> bytes:
    """Tell MNN's converter that weights were pruned in blocks of so many output channels.

    It is a ``MNN.Compression.Pipeline`` in protobuf's wire format::

        version: "0.0.0"
        algo { type: PRUNE  prune_params { type: SIMD_OC  simd_oc_pruner_params { oc_blocks: <block> } } }
    """
    simd_oc = _number(4, block)
    prune = _number(1, 1) + _bytes(3, simd_oc)
    return _bytes(1, b"0.0.0") + _bytes(2, _number(1, 1) + _bytes(3, prune))


def _number(field: int, value: int) -> bytes:
    """A field with a number below 128."""
    return bytes([field << 3, value])


def _bytes(field: int, value: bytes) -> bytes:
    """A field with less than 128 bytes."""
    return bytes([field << 3 | 2, len(value)]) + value
