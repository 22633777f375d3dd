"""ONNX Runtime on its CPU provider; it runs pruned networks at dense speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rivals.files import ONNX
from bench.rivals.protocol import Array


@dataclass(frozen=True)
class OnnxRuntime:
    """Licence: MIT."""

    name: str = "onnxruntime"
    label: str = "ONNX Runtime"
    environment: str = "onnxruntime"
    ours: bool = False
    uses_zeros: bool = False
    file: str = ONNX

    def convert(self, folder: Path) -> None:
        """Nothing to do: it reads ONNX and optimises it while loading."""

    def load(self, folder: Path, *, threads: int) -> _Session:
        """All graph optimisations; one operator at a time, on ``threads`` threads."""
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(str(folder / self.file), options, providers=["CPUExecutionProvider"])
        return _Session(session, onnxruntime.__version__)


class _Session:
    def __init__(self, session: Any, version: str) -> None:
        self._session, self.version = session, version
        self._input = session.get_inputs()[0].name

    def run(self, x: Array) -> Sequence[Array]:
        outputs: list[Array] = self._session.run(None, {self._input: x})
        return outputs
