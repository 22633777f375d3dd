"""ONNX files of codes: quantize and dequantize nodes make layers of codes, or are refused with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnx_case import save
from onnxruntime.quantization import CalibrationDataReader, quantize_static

import sparsecc
from sparsecc.errors import ModelError, NotSupportedError, SparseccError, VerificationError
from sparsecc.importer import import_model
from sparsecc.importer.onnx import table
from sparsecc.ir.layer import convolutions

SHAPE = (1, 3, 8, 8)
RNG = np.random.default_rng(0)


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"/{op}/{outputs}", **attributes)


class Once(CalibrationDataReader):  # type: ignore[misc]  # untyped
    def __init__(self) -> None:
        self._left = [{"x": RNG.standard_normal(SHAPE).astype(np.float32)}]

    def get_next(self) -> Any:
        return self._left.pop() if self._left else None


def by_onnx_runtime(folder: Path, **options: Any) -> Path:
    """A residual network of float32, quantized by ONNX Runtime's own tool."""
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "b"), node("Conv", "b v", "c"),
        node("Add", "b c", "d"), node("MaxPool", "d", "e", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "e", "f"), node("Flatten", "f", "g"), node("Gemm", "g m", transB=1),
    ]  # fmt: skip
    weights = {
        name: RNG.standard_normal(shape).astype(np.float32) / 4
        for name, shape in {"w": (8, 3, 3, 3), "v": (8, 8, 1, 1), "m": (5, 8)}.items()
    }
    save(folder / "float.onnx", nodes, inputs={"x": SHAPE}, weights=weights)
    quantize_static(str(folder / "float.onnx"), str(folder / "codes.onnx"), Once(), **options)
    return folder / "codes.onnx"


@pytest.mark.parametrize("per_channel", [True, False])
def test_what_onnx_runtime_quantizes_becomes_layers_of_codes(per_channel: bool, tmp_path: Path) -> None:
    path = by_onnx_runtime(tmp_path, per_channel=per_channel)
    library = sparsecc.compile(path, threads=1)
    assert [layer.dtype for layer in library.report.plan.layers] == ["int8"] * 3
    assert library.report.reference == "ONNX Runtime"
    assert any("codes are one step away" in note for note in library.report.notes)
    x = RNG.standard_normal(SHAPE).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})
    # a code or two of the last layer's input may fall to the other side
    np.testing.assert_allclose(library(x), expected, atol=0.02 * np.abs(expected).max())


def coded(folder: Path, nodes: list[onnx.NodeProto], *, opset: int = 21, **weights: Any) -> Path:
    """A network that reads and writes float32, around nodes from the codes ``q`` to the codes ``p``."""
    borders = [node("QuantizeLinear", "x s z", "q"), *nodes, node("DequantizeLinear", "p s z")]
    given = {"s": np.float32(0.05), "z": np.uint8(120), **weights}
    return save(folder / "m.onnx", borders, inputs={"x": SHAPE}, weights=given, opset=opset)


LAYER = [node("DequantizeLinear", "w ws wz", "f", axis=0), node("DequantizeLinear", "q s z", "a")]
WEIGHTS = {
    "w": RNG.integers(-127, 128, (4, 3, 1, 1)).astype(np.int8), "ws": np.full(4, 0.01, np.float32),
    "wz": np.zeros(4, np.int8),
}  # fmt: skip
CONV = [*LAYER, node("Conv", "a f", "b"), node("QuantizeLinear", "b s z", "p")]


def scales(path: Path) -> list[bool]:
    """Whether the layers' weights are codes."""
    return [layer.scales is not None for layer in convolutions(import_model(path, None).layers.values())]


@pytest.mark.parametrize("shift", [0, 128])
def test_operators_of_codes(shift: int, tmp_path: Path) -> None:
    """``QLinearConv`` and ``QLinearMatMul``; weights around 128 are weights around 0."""
    kind = np.uint8 if shift else np.int8
    nodes = [
        node("QLinearConv", "q s z w ws wz t tz bias", "h", pads=[0, 0, 1, 1]),
        node("QLinearMatMul", "h t tz m ms wz s z", "p"),
    ]
    path = coded(
        tmp_path, nodes, w=(RNG.integers(-99, 99, (4, 3, 2, 2)) + shift).astype(kind), wz=kind(shift),
        ws=np.float32(0.01), t=np.float32(0.1), tz=np.uint8(7), bias=np.array([9, -90, 900, 0], np.int32),
        m=(RNG.integers(-99, 99, (8, 8)) + shift).astype(kind), ms=np.float32(0.02),
    )  # fmt: skip
    library = sparsecc.compile(path, threads=1)
    assert library.report.error < 0.02
    assert [layer.dtype for layer in library.report.plan.layers] == ["int8"] * 2


def test_transposed_weights_and_those_of_fake_quantization_are_codes(tmp_path: Path) -> None:
    real = RNG.standard_normal((3, 4, 1, 1)).astype(np.float32)
    nodes = [
        node("QuantizeLinear", "real ws wz", "w"), node("DequantizeLinear", "w ws wz", "t"),
        node("Transpose", "t", "f", perm=[1, 0, 2, 3]), *CONV[1:],
    ]  # fmt: skip
    path = coded(tmp_path, nodes, real=real, ws=np.float32(0.02), wz=np.int8(0))
    assert scales(path) == [True]
    assert scales(coded(tmp_path, CONV, **WEIGHTS)) == [True]


def test_weights_that_are_no_codes_around_zero_are_computed_with_float32(tmp_path: Path) -> None:
    uneven = {**WEIGHTS, "w": RNG.integers(0, 256, (4, 3, 1, 1)).astype(np.uint8), "wz": np.arange(4, dtype=np.uint8)}
    blocks = {
        **WEIGHTS,
        "ws": RNG.random((4, 1, 1, 1)).astype(np.float32) + 0.01,
        "wz": np.zeros((4, 1, 1, 1), np.int8),
    }
    by_block = [node("DequantizeLinear", "w ws wz", "f", axis=1, block_size=3), *CONV[1:]]
    wide = {**WEIGHTS, "w": WEIGHTS["w"].astype(np.int16), "wz": np.zeros(4, np.int16)}
    for nodes, weights in ((CONV, uneven), (by_block, blocks), (CONV, wide)):
        path = coded(tmp_path, nodes, **weights)
        assert scales(path) == [False]
        library = sparsecc.compile(path, threads=1)
        assert library.report.error < 0.02
        assert any("computes with float32" in note for note in library.report.notes)


def quantized(inputs: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [*LAYER, node("Conv", "a f", "b"), node("QuantizeLinear", inputs, "p", **attributes)]


BAD: dict[str, tuple[type[SparseccError], str, list[onnx.NodeProto], dict[str, Any]]] = {
    "a scale of zero": (ModelError, "/QuantizeLinear/p: .* found the scale 0.0, expected a finite number",
        quantized("b s2 z"), {"s2": np.float32(0)}),
    "a scale of NaN": (ModelError, "found the scale nan", quantized("b s2 z"), {"s2": np.float32(math.nan)}),
    "a weight's scale": (ModelError, "/DequantizeLinear/f: .* found the scale -1.0", CONV,
        {"ws": np.array([1, 1, -1, 1], np.float32)}),
    "no scales": (ModelError, "found no scale", CONV, {"ws": np.zeros(0, np.float32)}),
    "too few scales": (ModelError, "found 3 scales along axis 0, expected 4, or one", CONV,
        {"ws": np.ones(3, np.float32), "wz": np.zeros(3, np.int8)}),
    "a scale of another type": (NotSupportedError, "a scale of float16", quantized("b s2 z"),
        {"s2": np.float16(1)}),
    "a zero point of another type": (ModelError, "found 1 zero points of int8, expected uint8",
        [node("DequantizeLinear", "q s z2", "a"), node("QuantizeLinear", "a s z", "p")], {"z2": np.int8(0)}),
    "too many zero points": (ModelError, "found 2 zero points of uint8", quantized("b s z2"),
        {"z2": np.zeros(2, np.uint8)}),
    "codes of 16 bits": (NotSupportedError, "codes of torch.int16", quantized("b s z2"), {"z2": np.int16(0)}),
    "codes of 16 bits by attribute": (NotSupportedError, "codes of torch.int16",
        quantized("b s", output_dtype=onnx.TensorProto.INT16), {}),
    "codes of 4 bits": (NotSupportedError, "codes of ONNX's type 22",
        quantized("b s", output_dtype=onnx.TensorProto.INT4), {}),
    "a scale that depends on the input": (NotSupportedError, "its scale depends on the network's inputs",
        [*LAYER, node("ReduceMax", "x", "s2", keepdims=0), node("QuantizeLinear", "a s2 z", "p")], {}),
    "scales of channels of activations": (NotSupportedError, "layer /QuantizeLinear/p: .*of activations; expected",
        [*CONV[:3], node("QuantizeLinear", "b ws z4", "p")], {"z4": np.zeros(4, np.uint8)}),
    "scales of blocks of activations": (NotSupportedError, "scales of blocks", quantized("b s2 z", block_size=2),
        {"s2": np.ones((1, 2, 8, 8), np.float32)}),
    "scales found while it runs": (NotSupportedError, "found while the network runs",
        [*LAYER, node("DynamicQuantizeLinear", "a", "p s2 z2")], {}),
    "sums without a scale": (NotSupportedError, "/ConvInteger/i: .*quantize_static",
        [node("ConvInteger", "q w", "i"), node("Cast", "i", "b", to=1), node("QuantizeLinear", "b s z", "p")], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_quantization_that_we_know_is_named(name: str, tmp_path: Path) -> None:
    kind, words, nodes, weights = BAD[name]
    with pytest.raises(kind, match=words):
        import_model(coded(tmp_path, nodes, **{**WEIGHTS, **weights}), None)


def test_values_of_another_type(tmp_path: Path) -> None:
    whole = [node("Cast", "x", "i", to=onnx.TensorProto.INT32), node("QuantizeLinear", "i s", "q"),
             node("DequantizeLinear", "q s")]  # fmt: skip
    path = save(tmp_path / "m.onnx", whole, inputs={"x": SHAPE}, weights={"s": np.float32(1)}, opset=13)
    with pytest.raises(NotSupportedError, match=r"an input of torch\.int32"):
        import_model(path, None)
    nodes = [node("Cast", "q", "i", to=onnx.TensorProto.INT32), node("DequantizeLinear", "i s", "a"),
             node("QuantizeLinear", "a s z", "p")]  # fmt: skip
    with pytest.raises(NotSupportedError, match=r"codes of torch\.int32"):
        import_model(coded(tmp_path, nodes), None)


def wrong(off: float) -> Callable[..., torch.Tensor]:
    def quantize(node: Any, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        return right(node, x + off, *rest)

    right: Any = table.OPERATORS["QuantizeLinear"]
    return quantize


@pytest.mark.parametrize("off", [0.2, 0.02])
def test_a_wrong_translation_is_found_and_named(off: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes that are some steps away, and those that are one away from where rounding could fall."""
    path = coded(tmp_path, CONV, **WEIGHTS)
    monkeypatch.setitem(table.OPERATORS, "QuantizeLinear", wrong(off))
    with pytest.raises(VerificationError, match=r"translated wrongly is /QuantizeLinear/q \(QuantizeLinear\)"):
        sparsecc.compile(path, threads=1)
