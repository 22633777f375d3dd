"""MetaSchedule's traces: they replay on their own operator, and what can't be replayed says why."""

from __future__ import annotations

import functools
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from generic_case import operator
from tuning_case import traced_record

import sparsecc
from sparsecc._tvm import PrimFunc, meta_schedule, relax, structural_hash, tvm
from sparsecc.kernels.generic.traces import MisfitError, UnknownTraceError, apply_trace, sample_traces
from sparsecc.target import TARGETS
from sparsecc.target.records.log import append

LLVM = TARGETS["x86-64-v3"].llvm
STUB = "tvm.s_tir.tensor_intrin"


class Exponential(torch.nn.Module):
    """An operator with few schedules."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x)


@functools.cache
def softmax() -> PrimFunc:
    return operator(lambda x: relax.op.nn.softmax(x, 1), [(1, 8, 14, 14)])


@functools.cache
def traces() -> list[str]:
    return sample_traces(softmax(), LLVM, count=12, seed=0)


def test_every_trace_replays_on_its_operator_again_and_again() -> None:
    """A replay leaves the operator as it was: the next one, and the record's key, are of the same."""
    name = structural_hash(softmax())
    assert len(traces()) > 8
    for trace in traces():
        once = apply_trace(softmax(), trace)
        assert structural_hash(softmax()) == name
        assert structural_hash(apply_trace(softmax(), trace)) == structural_hash(once)


def test_a_trace_of_another_operator_does_not_fit() -> None:
    other = operator(lambda x: relax.op.exp(x), [(1, 8, 14, 14)])
    for trace in traces():
        with pytest.raises(MisfitError, match="a trace that does not fit"):
            apply_trace(other, trace)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda trace: "[]", "ValueError: The json entry of a trace"),
        (lambda trace: trace[:-1], "MalformedError: not JSON"),
        (lambda trace: "[" * 500, "MalformedError: "),
        (lambda trace: trace.replace("GetSBlock", "GetPlock"), "ValueError: .*"),
        (lambda trace: json.dumps([json.loads(trace)[0][1:], []]), r"\w+: .*"),
    ],
    ids=["empty", "cut", "deep", "renamed", "a step missing"],
)
def test_a_damaged_trace_says_what_tvm_says(damage: Callable[[str], str], reason: str) -> None:
    with pytest.raises(UnknownTraceError, match=rf"TVM {tvm.__version__} can't replay a schedule \({reason}"):
        apply_trace(softmax(), damage(traces()[1]))


def test_a_record_that_can_not_be_replayed_is_told(tmp_path: Path) -> None:
    """As after an upgrade of TVM: no silent way back to the plain recipe."""
    net, x = Exponential().eval(), torch.randn(1, 8, 14, 14)
    good, odd = tmp_path / "good.jsonl", tmp_path / "odd.jsonl"
    append(good, [traced_record(net, x, lambda trace: trace)])
    append(odd, [traced_record(net, x, lambda trace: trace.replace("GetSBlock", "GetPlock"))])
    lib = sparsecc.compile(net, "x86-64-v3", example_inputs=(x,), schedules=good)
    assert lib.report.notes == ()
    assert [step["chosen_by"] for step in lib.report.steps] == ["record"]
    lib = sparsecc.compile(net, "x86-64-v3", example_inputs=(x,), schedules=odd)
    assert [step["chosen_by"] for step in lib.report.steps] == ["cost model"]
    (note,) = lib.report.notes
    assert note.startswith("the record of operator ")
    assert f"is not used: TVM {tvm.__version__} can't replay a schedule (" in note
    assert note.endswith("; search again")


def test_nothing_stands_in_for_tvms_instructions_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    traces()
    assert STUB not in sys.modules
    with meta_schedule():
        assert STUB in sys.modules
    assert STUB not in sys.modules
    imported = types.ModuleType(STUB)
    monkeypatch.setitem(sys.modules, STUB, imported)
    with meta_schedule():
        assert sys.modules[STUB] is imported
    assert sys.modules[STUB] is imported
