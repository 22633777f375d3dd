"""Networks in 8-bit integers: engines that read one quantized ONNX file, and sparsecc with its own quantization."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rivals.files import INPUT, MODULE
from bench.rivals.onnx_runtime import OnnxRuntime
from bench.rivals.openvino import OpenVino
from bench.rivals.ours import Ours
from bench.rivals.protocol import Rival

#: the cell's network with pairs of quantize and dequantize nodes, see :func:`write_codes`
CODES = "codes.onnx"


@dataclass(frozen=True)
class OnnxRuntimeCodes(OnnxRuntime):
    """The same engine and options; weights by channel, activations as unsigned bytes."""

    name: str = "onnxruntime_int8"
    label: str = "ONNX Runtime, int8"
    file: str = CODES


@dataclass(frozen=True)
class OpenVinoCodes(OpenVino):
    """The same engine and options, the same file as ONNX Runtime."""

    name: str = "openvino_int8"
    label: str = "OpenVINO, int8"
    file: str = CODES


@dataclass(frozen=True)
class OursCodes(Ours):
    """The same compiler; the network is quantized by torchao."""

    def convert(self, folder: Path) -> None:
        """Quantize and compile for this machine."""
        import numpy as np
        import torch

        import sparsecc

        model = torch.load(folder / MODULE, weights_only=False)
        x = torch.from_numpy(np.load(folder / INPUT))
        keep_dense = () if self.uses_zeros else ("*",)
        program = sparsecc.quantize(model, [x]).program
        compiled = sparsecc.compile(program, keep_dense=keep_dense, verify=False)
        compiled.save(self.library(folder))

    def library(self, folder: Path) -> Path:
        """Where the compiled library is."""
        return folder / ("sparse_int8.so" if self.uses_zeros else "dense_int8.so")


def write_codes(folder: Path, source: str) -> None:
    """Quantize a cell's ONNX file by ONNX Runtime's own tool, with the range of its input."""
    import numpy as np
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    class Once(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = [{"input": np.load(folder / INPUT)}]

        def get_next(self) -> Any:
            return self._left.pop() if self._left else None

    quant_pre_process(str(folder / source), str(folder / "ready.onnx"))
    quantize_static(
        str(folder / "ready.onnx"), str(folder / CODES), Once(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


_ALL: list[Rival] = [
    OursCodes("sparsecc_int8", "sparsecc, int8", uses_zeros=True),
    OursCodes("sparsecc_int8_dense", "sparsecc, int8, dense", uses_zeros=False),
    OnnxRuntimeCodes(),
    OpenVinoCodes(),
]

#: who takes part in `bench.studies.int8_networks`, by name
CODED: dict[str, Rival] = {rival.name: rival for rival in _ALL}
