"""ncnn on the CPU, converted by pnnx; it runs pruned networks at dense speed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench.rivals.files import ONNX
from bench.rivals.protocol import Array

_PARAM, _WEIGHTS = "ncnn.param", "ncnn.bin"
_OTHERS = ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnpy")  # files that nobody asked for


@dataclass(frozen=True)
class Ncnn:
    """Licence: BSD 3-clause, pnnx too."""

    name: str = "ncnn"
    label: str = "ncnn"
    environment: str = "ncnn"
    ours: bool = False
    uses_zeros: bool = False

    def convert(self, folder: Path) -> None:
        """Run pnnx's program; its Python package is not imported, it would want torch."""
        package = find_spec("pnnx")
        if package is None or package.origin is None:
            raise ModuleNotFoundError("No module named 'pnnx'")
        unwanted = [f"{name}=/dev/null" for name in _OTHERS]
        outputs = [f"ncnnparam={folder / _PARAM}", f"ncnnbin={folder / _WEIGHTS}"]
        program = str(Path(package.origin).parent / "pnnx")
        subprocess.run([program, str(folder / ONNX), "fp16=0", *outputs, *unwanted], check=True)

    def load(self, folder: Path, *, threads: int) -> _Net:
        """float32 throughout: by default it stores and computes in half precision where it can."""
        import ncnn  # type: ignore[import-not-found,unused-ignore]

        net = ncnn.Net()
        net.opt.num_threads = threads
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, name, False)
        for problem in (net.load_param(str(folder / _PARAM)), net.load_model(str(folder / _WEIGHTS))):
            if problem:
                raise RuntimeError(f"ncnn can't load the network: code {problem}")
        return _Net(net, ncnn, version("ncnn"))


class _Net:
    def __init__(self, net: Any, ncnn: Any, version: str) -> None:
        self._net, self._ncnn, self.version = net, ncnn, version
        self._input, self._outputs = net.input_names()[0], net.output_names()

    def run(self, x: Array) -> Sequence[Array]:
        extractor = self._net.create_extractor()
        extractor.input(self._input, self._ncnn.Mat(x[0]))  # no copy; it has no batch dimension
        return [np.array(extractor.extract(name)[1])[None] for name in self._outputs]
