"""The engines that can take part, by name; bench/README.md says how to add one."""

from __future__ import annotations

from bench.rivals.litert import LiteRt
from bench.rivals.mnn import Mnn
from bench.rivals.ncnn import Ncnn
from bench.rivals.onnx_runtime import OnnxRuntime
from bench.rivals.openvino import OpenVino
from bench.rivals.ours import Ours
from bench.rivals.protocol import Rival
from bench.rivals.torch_eager import TorchEager
from bench.rivals.torch_inductor import TorchInductor

_ALL: list[Rival] = [
    Ours("sparsecc", "sparsecc", uses_zeros=True),
    Ours("sparsecc_dense", "sparsecc, dense", uses_zeros=False),
    Ours("sparsecc_one_thread", "sparsecc, one thread", uses_zeros=True, threads=1),
    Ours("sparsecc_default", "sparsecc, default", uses_zeros=True, threads=0),
    Mnn("mnn_sparse", "MNN, sparse", uses_zeros=True),
    OnnxRuntime(),
    OpenVino(),
    LiteRt(),
    Ncnn(),
    Mnn("mnn", "MNN", uses_zeros=False),
    TorchInductor(),
    TorchEager(),
]

RIVALS: dict[str, Rival] = {rival.name: rival for rival in _ALL}
