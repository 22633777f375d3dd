"""What the code generator makes of the kernels of codes: dot products on full registers, and sums that stay there."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from test_assembly import arm_loops, functions, loops

from sparsecc._codegen import compile_object
from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import compact
from sparsecc.ir.quantized import Quantization, QuantizedConv
from sparsecc.kernels.int8.shape import OVERREAD, Result
from sparsecc.lower.int8.conv import function_of, packed
from sparsecc.lower.int8.options import QuantOptions, instructions_of
from sparsecc.target import resolve

ONES = (1, 1, 1, 1)
CODES = Quantization(0.05, 3, "uint8")
SPECS = {
    "1x1": ConvSpec(1, 64, 14, 14, 64),
    "3x3": ConvSpec(1, 64, 28, 28, 64, 3, 3, padding=ONES),
    "3x3_small": ConvSpec(1, 64, 7, 7, 64, 3, 3, padding=ONES),
    "stride_2": ConvSpec(1, 64, 28, 28, 64, 3, 3, (2, 2), ONES),
}
REGISTER = {"x86-64-v3": "ymm", "x86-64-v4": "zmm", "x86-64-v3+vnni": "ymm", "x86-64-v4+vnni": "zmm"}
DOT = {"vpdpbusd": r"\s+(\{vex\}\s+)?vpdpbusd\s", "vpmaddwd": r"\s+vpmaddwd\s", "sdot": r"\s+sdot\s"}
#: what code of single numbers would be: bytes put into vectors or taken out, calls
SCALAR = re.compile(r"\s+(movzb|movsb|vpinsr|vpextr|vgather|vpgather|call)")
#: an accumulator, or a pixel, that goes to memory and comes back: sums in a loop are stored nowhere
STORED = re.compile(r"\s+vmov\w*\s+%[xyz]mm\d+, -?\d*\(%")
#: stores for a dot product: of 3x3 kernels with pixels as the vector, whose taps are unrolled; others have none
MOST_STORED = 0.17


def options_of(spec: ConvSpec, n: int, target: str) -> QuantOptions:
    """Half of the blocks of ``n`` channels; a dense layer for 0."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, spec.weight_shape).astype(np.int8)
    if n:
        weight *= np.repeat(rng.random((spec.oc // n, spec.ic)) < 0.5, n, axis=0)[:, :, None, None]
    ones = np.ones(spec.oc, np.float32)
    operator = QuantizedConv("layer", "layer", spec, weight, ones * 1e-3, ones, CODES, CODES, 3, 255)
    source, result = (compact(*size) for size in ((spec.ih, spec.iw), (spec.oh, spec.ow)))
    source = type(source)(**{**source.__dict__, "tail": source.tail + OVERREAD})
    grouping = aligned_grouping(spec.oc, groups=1, block_n=n) if n else None
    return QuantOptions(operator, source, Result(result, CODES, 3, 255), resolve(target), grouping)


def assembly_of(options: QuantOptions) -> str:
    """Of the default config."""
    config = options.default()
    shape, _ = packed(options, config)
    return compile_object({"kernel": function_of(shape, config)}, options.target.for_codes().llvm).assembly


def count(pattern: str, lines: Sequence[str]) -> int:
    return sum(bool(re.match(pattern, line)) for line in lines)


@pytest.mark.parametrize("n", [0, 4, 16])
@pytest.mark.parametrize("kernel", SPECS)
@pytest.mark.parametrize("target", REGISTER)
def test_inner_loop_on_x86(target, kernel, n):
    assembly = assembly_of(options_of(SPECS[kernel], n, target))
    dot = DOT[instructions_of(resolve(target)).name]
    assert not re.search(r"vpmaddubsw|vpdpbusds|vpdpwssds", assembly), "saturates"
    found = [loop for lines in functions(assembly).values() for loop in loops(lines)]
    inner = max(found, key=lambda loop: (count(dot, loop), -len(loop)))
    dots = [line for line in inner if re.match(dot, line)]
    assert len(dots) >= 8
    narrow = [line for line in dots if f"%{REGISTER[target]}" not in line]
    assert len(narrow) <= 0.25 * len(dots)  # what is left of 49 pixels
    assert not [line for line in inner if SCALAR.match(line)], "code of single numbers"
    stored = [line for line in inner if STORED.match(line)]
    if "vnni" in target:  # vpmaddwd has one product more to hold
        assert len(stored) <= MOST_STORED * len(dots), "sums are stored"


@pytest.mark.parametrize("n", [0, 4, 16])
@pytest.mark.parametrize("kernel", SPECS)
def test_inner_loop_on_arm(kernel, n):
    """Cortex-A76 starts two vector instructions beside two loads: multiply-adds are nearly all of the former."""
    assembly = assembly_of(options_of(SPECS[kernel], n, "rpi5"))
    inner = max(arm_loops(assembly), key=lambda loop: (count(DOT["sdot"], loop), -len(loop)))
    code = [line for line in inner if re.match(r"\s+[a-z]", line)]
    dots, memory = count(DOT["sdot"], code), r"\s+(ld|st)\w*\s"
    vector = [line for line in code if re.match(r".*\s[qv]\d", line) and not re.match(memory, line)]
    assert dots >= 20
    assert dots >= 0.75 * len(vector)
    assert 2 * dots >= 0.75 * len(code)  # of four instructions a cycle, two may be dot products
    assert not [line for line in code if re.match(r"\s+(str|stur|stp)\s+q", line)], "sums are stored"
