"""Exceptions that nobody foresaw: each becomes our bug, with the stage, and the layer where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import sparsecc
from sparsecc import pipeline
from sparsecc._tvm import tvm
from sparsecc.cli.failure import guard
from sparsecc.errors import InternalError, ModelError, unforeseen
from sparsecc.importer import operators

X = torch.ones(1, 4, 6, 6)

FOREIGN = [
    IndexError("list index out of range"), KeyError("x"), TypeError("bad"), AttributeError("none"), ValueError(),
    ZeroDivisionError("by zero"), RecursionError("deep"), AssertionError(), tvm.error.InternalError("Check failed"),
]  # fmt: skip


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.MaxPool2d(2)).eval()


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_foreign_errors_become_ours(error: Exception) -> None:
    with pytest.raises(InternalError) as caught, unforeseen("stage"):
        raise error
    said = str(caught.value)
    assert said.startswith(f"stage: unexpected {type(error).__name__}")
    assert said.endswith("; please report it with the model")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        ModelError("x"),
        KeyboardInterrupt(),
        SystemExit(1),
        MemoryError(),
        FileNotFoundError("x"),
        ModuleNotFoundError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_nobodys_bug_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, unforeseen("stage"):
        raise error
    assert caught.value is error


def test_in_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operators.LAYERS, "max_pool2d.default", raising(IndexError("list index out of range")))
    with pytest.raises(InternalError) as caught:
        sparsecc.compile(net(), example_inputs=(X,))
    assert str(caught.value) == (
        "layer 2: operator aten.max_pool2d.default: unexpected IndexError: list index out of range; "
        "please report it with the model"
    )
    monkeypatch.setitem(operators.LAYERS, "max_pool2d.default", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        sparsecc.compile(net(), example_inputs=(X,))


def test_in_a_constant() -> None:
    @torch.library.custom_op("sparsecc_test::never", mutates_args=())
    def never(x: torch.Tensor) -> torch.Tensor:
        raise IndexError("no such thing")

    never.register_fake(torch.empty_like)
    model = nn.Conv2d(4, 4, 1)
    model.forward = lambda x: nn.functional.conv2d(x, never(model.weight))  # type: ignore[method-assign]
    with pytest.raises(InternalError, match=r"layer never: operator sparsecc_test.never.default on constants: unex"):
        sparsecc.compile(model.eval(), example_inputs=(X,))


#: function of the pipeline -> what an error in it is said to be in
STAGES = {
    "shrink": "shrink",
    "find_layers": "analyse",
    "fuse_epilogues": "fuse",
    "legalize": "legalize",
    "extract_graph": "extract",
    "permute": "reorder",
    "split_winograd": "split",
    "join_chains": "join",
    "place": "layout",
    "in_place": "in place",
    "lower": "lower: step layer_0",
    "assemble": "assemble",
    "compile_object": "build",
    "plan_memory": "memory",
}


@pytest.mark.parametrize("function", STAGES)
def test_in_a_stage(function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pipeline, function, raising(tvm.error.InternalError("Check failed: it is odd")))

    def command(_options: Any) -> int:
        sparsecc.compile(net(), example_inputs=(X,))
        return 0

    assert guard(command, None) == InternalError.exit_code
    said = f"error: {STAGES[function]}: unexpected InternalError: Check failed: it is odd; please report it"
    assert capsys.readouterr().err.startswith(said)


def test_in_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsecc.finished.verify_compiled", raising(KeyError("output")))
    with pytest.raises(InternalError, match=r"^verify: unexpected KeyError: 'output'; please report"):
        sparsecc.compile(net(), example_inputs=(X,))
