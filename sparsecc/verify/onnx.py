"""Results of an ONNX file by somebody else's implementation, and the operator that is translated wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import Tensor

from sparsecc.errors import VerificationError, first_line
from sparsecc.importer.onnx.fold import Folded
from sparsecc.importer.onnx.model import OnnxModel
from sparsecc.importer.onnx.node import Node
from sparsecc.importer.onnx.table import run_step
from sparsecc.text import printable
from sparsecc.verify.compare import Array, relative_error

#: share of the codes that may be one off
_MOST_OFF = 1e-3
#: how near the middle between two codes rounding may decide, relative to the value
_MIDDLE = 1e-6
RUNTIME, EVALUATOR = "ONNX Runtime", "ONNX's reference evaluator"


def onnx_results(model: OnnxModel) -> tuple[str, tuple[Array, ...]]:
    """Who computed them, and the file's outputs for the example, in its order."""
    feeds = {name: x.numpy() for name, x in zip(model.inputs, model.example, strict=True)}
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return EVALUATOR, _evaluated(onnx.load(model.path), list(model.outputs), feeds)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong with the file has been said, or is raised
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        return RUNTIME, _arrays(session.run(list(model.outputs), feeds))
    except Exception:  # it may lack an operator, or a version, that we have: its errors are of no common class
        return EVALUATOR, _evaluated(onnx.load(model.path), list(model.outputs), feeds)


class BatchNormalization(OpRun):  # type: ignore[misc]  # untyped
    """By its statistics, as at inference; ONNX's own takes those of its input before opset 14."""

    op_domain = ""

    def _run(self, x: Array, scale: Array, bias: Array, mean: Array, variance: Array, **options: Any) -> tuple[Array]:
        shape = (1, -1, *[1] * (x.ndim - 2))
        factor = scale / np.sqrt(variance + np.float32(options.get("epsilon") or 1e-5))
        return ((x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape),)


def _evaluated(model: Any, outputs: list[str] | None, feeds: dict[str, Array], **options: Any) -> tuple[Array, ...]:
    evaluator = ReferenceEvaluator(model, new_ops=[BatchNormalization], **options)
    return _arrays(evaluator.run(outputs, feeds))


def _arrays(results: Any) -> tuple[Array, ...]:
    return tuple(np.asarray(result) for result in results)


def first_wrong_step(model: OnnxModel, *, tolerance: float) -> str:
    """Name the first operator whose translation does not compute what ONNX's reference says of the same inputs.

    Empty where there is none.
    """
    folded = model.folded
    values: dict[str, Any] = {**folded.constants, **dict(zip(model.inputs, model.example, strict=True))}
    with torch.no_grad():
        for node in folded.steps:
            inputs = [values[name] if name else None for name in node.inputs]
            results = run_step(node, inputs)
            for found, expected in zip(results, _expected(folded, node, inputs), strict=False):
                doubtful = _beside_the_middle(node, inputs)
                if found.shape != expected.shape or _differs(found.numpy(), expected, doubtful, tolerance=tolerance):
                    return f"the first operator that is translated wrongly is {printable(node.name)} ({node.op})"
            values.update(zip(node.outputs, results, strict=False))
    return ""


def _differs(found: Array, expected: Array, doubtful: Any, *, tolerance: float) -> bool:
    """Codes of 8 bits may be one off: ONNX divides by a scale, PyTorch multiplies with its reciprocal.

    ``doubtful`` says where; of operators that compute before they round, where nobody knows, a few may be anywhere.
    """
    if found.dtype not in (np.uint8, np.int8):
        return relative_error(found.astype(np.float64), expected.astype(np.float64)) > tolerance
    apart = np.abs(found.astype(np.int32) - expected.astype(np.int32))
    off = np.count_nonzero(apart) if doubtful is None else np.count_nonzero(apart[~doubtful])
    return bool(apart.max(initial=0) > 1 or off > (0 if doubtful is not None else max(1, _MOST_OFF * apart.size)))


def _beside_the_middle(node: Node, inputs: Sequence[Tensor | None]) -> Any:
    """Where values that are quantized are so near the middle between two codes that they may become either."""
    scale = node.known[1] if node.op == "QuantizeLinear" else None
    if scale is None or scale.size != 1:
        return None
    values: Any = inputs[0]
    steps = values.double().numpy() / float(scale.reshape(-1)[0])
    return np.abs(np.abs(steps - np.floor(steps)) - 0.5) <= _MIDDLE * (np.abs(steps) + 1)


def _expected(folded: Folded, node: Any, inputs: list[Tensor | None]) -> tuple[Array, ...]:
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    del proto.input[:]
    proto.input.extend(f"i{i}" if x is not None else "" for i, x in enumerate(inputs))
    feeds = {f"i{i}": x.numpy() for i, x in enumerate(inputs) if x is not None}
    try:
        return _evaluated(proto, None, feeds, opsets={"": node.opset})
    except Exception as error:  # as above
        raise VerificationError(
            f"layer {printable(node.name)}: ONNX's reference can't compute {node.op} ({first_line(error)}), so nobody "
            "knows which operator is translated wrongly; please report it with the model"
        ) from error
