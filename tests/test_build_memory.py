"""Where buffers and weights lie: the plan of the arena, and the blob of weights."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecc.build import ALIGNMENT, plan_arena, plan_memory
from sparsecc.build.memory import Life, check_plan, lifetimes, lower_bound
from sparsecc.build.memory_plan import check_memory
from sparsecc.build.weights import WeightBlob, plan_weights
from sparsecc.errors import InternalError
from sparsecc.ir.program import Program, Ref, Step

# --- memory plan ---------------------------------------------------------------------------------------------------


def buffers_program(spans: list[tuple[int, int, int]]) -> Program:
    """A program with one buffer for each (size, first step, last step)."""
    count = max((last for _, _, last in spans), default=0) + 1
    steps = []
    for number in range(count):
        named = [i for i, (_, first, last) in enumerate(spans) if number in (first, last)]
        writes = tuple(i for i, b in enumerate(named) if spans[b][1] == number)
        steps.append(Step(f"k{len(named)}", f"s{number}", tuple(Ref("buffer", b) for b in named), writes))
    return Program("p", (), (), tuple(size for size, _, _ in spans), (), tuple(steps))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 12), st.integers(0, 8)).map(lambda t: (t[0], t[1], t[1] + t[2])),
        max_size=25,
    )
)
def test_live_buffers_never_overlap(spans: list[tuple[int, int, int]]) -> None:
    program = buffers_program(spans)
    plan = plan_arena(program)
    assert plan.nbytes >= lower_bound(lifetimes(program))
    for i, (size, first, last) in enumerate(spans):
        assert plan.offsets[i] % ALIGNMENT == 0
        assert plan.offsets[i] + size <= plan.nbytes or not size
        for j, (other, start, end) in enumerate(spans[:i]):
            if size and other and first <= end and start <= last:
                apart = plan.offsets[i] + size <= plan.offsets[j] or plan.offsets[j] + other <= plan.offsets[i]
                assert apart, (spans, plan)


def test_plan_reaches_the_lower_bound_on_nets_with_residuals() -> None:
    # sizes of inverted residual blocks: narrow input kept over two wide tensors
    spans, step = [], 0
    for narrow, wide in [(16, 96), (24, 144), (24, 144), (32, 192), (64, 384), (96, 576), (160, 960)]:
        plane = 3136 * 16 // narrow
        spans += [
            (narrow * plane, step, step + 3),
            (wide * plane, step + 1, step + 2),
            (wide * plane, step + 2, step + 3),
        ]
        step += 3
    program = buffers_program(spans)
    assert plan_arena(program).nbytes == lower_bound(lifetimes(program))


def test_a_bad_plan_is_noticed() -> None:
    lives = (Life(0, 128, 0, 1), Life(1, 64, 1, 2))
    plan = plan_arena(buffers_program([(128, 0, 1), (64, 1, 2)]))
    check_plan(plan, lives)
    for offsets in ((0, 64), (0, 3), (0, 192)):
        with pytest.raises(InternalError, match="arena plan"):
            check_plan(replace(plan, offsets=offsets), lives)


# --- weights -------------------------------------------------------------------------------------------------------


def test_a_plan_of_another_program_is_our_bug() -> None:
    program = buffers_program([(128, 0, 1), (64, 1, 2)])
    memory = plan_memory(program)
    check_memory(memory, program)
    for other in (replace(program, buffers=(64,)), replace(program, weights=(np.ones(3),))):
        with pytest.raises(InternalError, match="memory plan: found places of 2 buffers and 0 weights, expected"):
            check_memory(memory, other)
    with pytest.raises(InternalError, match="arena plan: buffer"):
        check_memory(memory, replace(program, buffers=(128, 640)))


def test_weights_are_aligned_and_stored_once() -> None:
    ones, bits = np.ones(5, "float32"), np.ones(5, "float32").view("int32")
    arrays = [np.arange(7, dtype="float32"), ones, np.arange(3, dtype="int64"), ones.copy(), bits, np.empty(0, "int8")]
    blob = WeightBlob(plan_weights(arrays), arrays)
    assert all(offset % ALIGNMENT == 0 for offset in blob.offsets)
    assert blob.offsets[1] == blob.offsets[3] != blob.offsets[4]
    file = io.BytesIO()
    blob.write(file)
    data = file.getvalue()
    assert len(data) == blob.nbytes == 4 * ALIGNMENT
    for offset, array in zip(blob.offsets, arrays, strict=True):
        assert data[offset : offset + array.nbytes] == array.tobytes()
    assert plan_weights([]).nbytes == 0
