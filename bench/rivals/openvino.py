"""OpenVINO on its CPU plugin; it runs pruned networks at dense speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.rivals.files import ONNX
from bench.rivals.protocol import Array


@dataclass(frozen=True)
class OpenVino:
    """Licence: Apache 2.0."""

    name: str = "openvino"
    label: str = "OpenVINO"
    environment: str = "openvino"
    ours: bool = False
    uses_zeros: bool = False
    file: str = ONNX

    def convert(self, folder: Path) -> None:
        """Nothing to do: it reads ONNX and optimises it while loading."""

    def load(self, folder: Path, *, threads: int) -> _Request:
        """Compile for one request at a time, float32 throughout: by default it may compute in bfloat16."""
        import openvino  # type: ignore[import-not-found,unused-ignore]

        config = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(str(folder / self.file), "CPU", config)
        return _Request(compiled.create_infer_request(), version("openvino"))


class _Request:
    def __init__(self, request: Any, version: str) -> None:
        self._request, self.version = request, version

    def run(self, x: Array) -> Sequence[Array]:
        found = self._request.infer([x], share_inputs=True, share_outputs=True)
        return list(found.values())
