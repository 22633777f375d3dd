"""Bad models, example inputs and options: each its own error, before anything is compiled.

The list goes on in ``test_errors_run.py`` and ``test_errors_files.py``. Tested elsewhere, at their home:
* patterns of ``keep_dense`` and what they mean: ``test_plan.py``
* the same mistakes on the command line, and its exit codes: ``test_cli_compile.py``, ``test_cli_failures.py``
* a result that differs from PyTorch, and a network that amplifies rounding errors: ``test_verify.py``
"""

from __future__ import annotations

import copy
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from operator_cases import Function
from torch import Tensor, nn

import sparsecc
from sparsecc.errors import ModelError, NotSupportedError, OutputError, SparseccError, TargetError, UserError
from sparsecc.target import TARGETS

SHAPE = (1, 8, 6, 6)
KINDS = "torch.float32, uint8, int8, int16, int32, int64 or bool"
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """``tail`` is what a test adds."""

    def __init__(self, tail: nn.Module | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 5)
        self.tail = tail or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, 8, 6, 6) to (1, 5)."""
        return self.tail(self.head(self.stem(x).mean((2, 3))))


def refused(kind: type[SparseccError], *parts: str, model: Any, inputs: Any = (X,), **options: Any) -> None:
    """``compile`` raises exactly that kind of error, and its message has all the parts."""
    with pytest.raises(kind) as caught:
        sparsecc.compile(model, example_inputs=inputs, **options)
    assert type(caught.value) is kind
    for part in parts:
        assert part in str(caught.value)


def exported(model: nn.Module, *inputs: Tensor, **options: Any) -> torch.export.ExportedProgram:
    return torch.export.export(model.eval(), inputs, **options)


# --- operators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "operator"),
    [
        (Function(lambda x: x.cummax(1)[0]), "aten.cummax.default"),
        (Function(lambda x: x.kthvalue(2, 1)[0]), "aten.kthvalue.default"),
        (Function(lambda x: x + torch.rand_like(x)), "aten.rand_like.default"),
        (Function(lambda x: x.median(1)[0]), "aten.median.dim"),
    ],
    ids=["cummax", "kthvalue", "random", "median"],
)
def test_unsupported_operator(tail: nn.Module, operator: str) -> None:
    refused(NotSupportedError, f"layer tail: operator {operator} is not supported; ", model=Net(tail))


def test_an_operator_that_is_made_of_another() -> None:
    operator = "aten._linalg_det.default, which PyTorch makes of aten.linalg_det.default, is not supported; "
    refused(NotSupportedError, operator, model=Function(torch.linalg.det), inputs=(X,))


def test_a_sequence_without_a_batch() -> None:
    parts = "layer 0: aten.conv1d.default", "of shape (8, 6)", "expected images (n, c, h, w)"
    refused(NotSupportedError, *parts, model=nn.Sequential(nn.Conv1d(8, 8, 1)), inputs=(X[0, :, 0],))


def test_an_image_without_a_batch() -> None:
    parts = "layer 0: aten.conv2d.default", "of shape (8, 6, 6)", "expected images (n, c, h, w)"
    refused(NotSupportedError, *parts, model=nn.Sequential(nn.Conv2d(8, 8, 1)), inputs=(X[0],))


def test_an_operator_that_computes_in_double() -> None:
    parts = "layer tail: operator aten._to_copy.default gives torch.float64, expected torch.float32", "convert"
    refused(NotSupportedError, *parts, model=Net(Function(lambda x: (x.double() + 1).float())))


# --- shapes and types ----------------------------------------------------------------------------------------------


def test_dynamic_shape(tmp_path: Path) -> None:
    sizes = ({0: torch.export.Dim("batch", min=2, max=8)},)
    program = exported(nn.Conv2d(8, 8, 1), X.expand(3, -1, -1, -1), dynamic_shapes=sizes)
    torch.export.save(program, tmp_path / "m.pt2")
    for model in (program, tmp_path / "m.pt2"):
        part = "input input: its shape (any, 8, 6, 6) is dynamic, expected fixed sizes; say which: shapes="
        refused(NotSupportedError, part, model=model, inputs=None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats(dtype: torch.dtype) -> None:
    found = f"found {dtype}, expected torch.float32"
    refused(NotSupportedError, f"weight stem.weight: {found}; use model.float()", model=Net().to(dtype))
    advice = f"example_inputs: found {dtype} at 0, expected {KINDS}; use .float()"
    refused(ModelError, advice, model=Net(), inputs=(X.to(dtype),))
    program = exported(nn.Conv2d(8, 8, 1).to(dtype), X.to(dtype))
    refused(NotSupportedError, f"input input: {found}, uint8", model=program, inputs=None)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint16])
def test_inputs_of_types_that_no_library_has(dtype: torch.dtype) -> None:
    x, model = torch.ones(SHAPE).to(dtype), Function(lambda x: x * 1.0)
    found = f"example_inputs: found {dtype} at 0, expected {KINDS}; let"
    refused(NotSupportedError, found, model=model, inputs=(x,))
    refused(NotSupportedError, f": found {dtype}, expected torch.float32", model=exported(model, x), inputs=None)


def test_double_weights_of_a_program_with_float_inputs() -> None:
    model = nn.Sequential(Function(lambda x: x.double()), nn.Conv2d(8, 8, 1).double(), Function(lambda x: x.float()))
    found = "weight 1.weight: found torch.float64, expected torch.float32"
    refused(NotSupportedError, found, model=exported(model, X), inputs=None)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: torch.ao.nn.quantized.dynamic.Linear(5, 5), "Linear"),
        (lambda: torch.ao.nn.quantized.Quantize(0.1, 0, torch.quint8), "Quantize"),
        (lambda: torch.ao.quantization.MinMaxObserver(), "MinMaxObserver"),
        (lambda: torch.ao.quantization.FakeQuantize(), "FakeQuantize"),
    ],
    ids=["dynamic", "static", "observed", "fake"],
)
def test_quantized_model(make: Callable[[], nn.Module], name: str) -> None:
    refused(
        NotSupportedError, f"layer tail: found {name}, quantized layers are not supported, expected float32",
        model=Net(make()),
    )  # fmt: skip


# --- example inputs ------------------------------------------------------------------------------------------------

EXAMPLES: dict[str, tuple[Any, list[str]]] = {
    "none": (None, ["a torch.nn.Module needs them, to know the shapes; pass example_inputs=(x,)"]),
    "too few": ((), ["the model fails on them (none)", "missing 1 required positional argument: 'x'"]),
    "too many": ((X, X), ["the model fails on them (torch.float32 (1, 8, 6, 6), torch.float32", "but 3 were given"]),
    "rank": ((X[0, 0],), ["the model fails on them (torch.float32 (6, 6))", "Expected 3D (unbatched) or 4D"]),
    "channels": (
        (X[:, :7],),
        ["the model fails on them (torch.float32 (1, 7, 6, 6))", "8 channels, but got 7"],
    ),
    "text": (("x",), ["found str at 0, expected a tensor or an array of numbers"]),
    "nothing": ((X, None), ["found NoneType at 1, expected a tensor"]),
    "nested": (([X, X],), ["found list at 0, expected a tensor"]),
    "dict": ({"x": X}, ["found dict at 0, expected a tensor"]),
    "objects": ((np.array([{}]),), ["found ndarray at 0, expected a tensor or an array of numbers", "numpy.object_"]),
    "byte order": ((X.numpy().astype(">f4"),), ["found ndarray at 0, expected a tensor", "byte order"]),
    "device": ((X.to("meta"),), ["found one on meta at 0, expected the CPU; use .cpu()"]),
    "layout": ((X.to_sparse(),), ["found layout torch.sparse_coo at 0, expected a dense tensor; use .to_dense()"]),
}


@pytest.mark.parametrize("case", EXAMPLES)
def test_wrong_example_inputs(case: str) -> None:
    inputs, parts = EXAMPLES[case]
    refused(ModelError, "example_inputs: ", *parts, model=Net(), inputs=inputs)


def test_empty_example_input() -> None:
    found = "input x: its shape (0, 8, 6, 6) is empty, expected 1 or more"
    refused(NotSupportedError, found, model=Net(), inputs=(X[:0],))


def test_wrong_example_inputs_of_a_program() -> None:
    program = exported(Net(), X)
    for inputs, text in [
        ((), "found 0, expected 1"),
        ((X, X), "found 2, expected 1"),
        ((X[0],), "x is torch.float32 (8, 6, 6), expected torch.float32 (1, 8, 6, 6)"),
        ((X.double(),), "x is torch.float64 (1, 8, 6, 6), expected torch.float32 (1, 8, 6, 6)"),
    ]:
        refused(ModelError, f"example_inputs: {text}", model=program, inputs=inputs)


# --- models that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, b"m.pt2", nn.Conv2d, {}], ids=str)
def test_no_model(model: Any) -> None:
    found = f"model: found {type(model).__name__}, expected a torch.nn.Module, an ExportedProgram or the path of a .pt2"
    refused(ModelError, found, model=model)


def test_weights_on_another_device() -> None:
    found = "weight stem.weight: found it on meta, expected the CPU; use model.cpu()"
    refused(ModelError, found, model=copy.deepcopy(Net()).to("meta"))


def not_pt2(folder: Path) -> dict[str, Path]:
    """Files that are no programs, by what they are."""
    torch.export.save(exported(nn.Conv2d(8, 8, 1), X), folder / "whole.pt2")
    whole = (folder / "whole.pt2").read_bytes()
    contents = {"empty": b"", "text": b"hello", "zip": b"PK\x03\x04" + bytes(50), "library": b"\x7fELF" + bytes(50)}
    contents |= {f"cut{n}": whole[:n] for n in (10, len(whole) // 2, len(whole) - 1)}
    for name, content in contents.items():
        (folder / f"{name}.pt2").write_bytes(content)
    torch.save(Net().state_dict(), folder / "state.pt2")
    torch.save(Net(), folder / "pickled.pt2")
    (folder / "whole.pt2").unlink()
    return {path.stem: path for path in folder.iterdir()}


def test_nothing_is_printed_of_a_model_that_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """Not even when what was begun of it is thrown away."""
    gc.collect()
    capfd.readouterr()
    refused(NotSupportedError, "is not supported", model=Function(lambda x: torch.fft.rfft(x).abs()))
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_files_that_are_no_models(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = not_pt2(tmp_path)
    assert len(files) == 9
    others = {"library": "is a library", "state": "has weights and no network", "pickled": "has a whole module"}
    for name, path in files.items():
        parts = f"{path}: not a .pt2 file that this PyTorch (", "write it with torch.export.save("
        if name in others:
            parts = f"{path}: {others[name]}", ", expected a .pt2"
        refused(ModelError, *parts, model=path, inputs=None)
    assert capfd.readouterr() == ("", ""), "PyTorch's own complaints are not shown"
    for path, found in ((tmp_path / "missing.pt2", "no such file"), (tmp_path, "is a folder")):
        refused(ModelError, f"{path}: {found}; expected a .pt2", model=path, inputs=None)


# --- options -------------------------------------------------------------------------------------------------------

OPTIONS: list[tuple[str, Any, str]] = [
    *(("threads", value, "expected a positive number, or None for all cores") for value in (0, -1, 1.5, "2")),
    *(("min_speedup", value, "expected a positive number") for value in (0, -1, float("nan"), float("inf"), "x", None)),
    *(("verify", value, "expected True, False or a tolerance between 0 and 1") for value in (0, -1, 1, "yes", None)),
    *(("name", value, "expected a C identifier such as 'model'") for value in ("", "1st", "a b", "größe", "if", 5)),
    *(("keep_dense", value, "expected a list of layers' names or patterns") for value in (5, [5], None)),
    ("cc", 5, "expected the command of a C compiler"),
]


@pytest.mark.parametrize(("option", "value", "expected"), OPTIONS)
def test_bad_values_of_options_are_found_before_the_model_is_read(option: str, value: Any, expected: str) -> None:
    refused(UserError, f"{option}: found {value!r}, {expected}", model=None, **{option: value})


@pytest.mark.parametrize("target", ["z80", "", "x86-64-v5", "NATIVE", None, 5, []], ids=repr)
def test_unknown_target(target: Any) -> None:
    parts = f"target: found {target!r}, expected one of {', '.join(TARGETS)}, native, or a file of facts", "nearest: '"
    refused(TargetError, *parts, model=None, target=target)


def test_native_on_a_machine_that_is_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsecc.target.model.cpu_flags", lambda: frozenset({"sse2", "avx"}))
    refused(TargetError, "this processor lacks AVX2 and FMA, which x86-64-v3 needs; name a target", model=None)
    monkeypatch.setattr("sparsecc.target.platform.machine", lambda: "riscv64")
    refused(TargetError, "this machine is 'riscv64', expected x86_64, aarch64, armv7l; name a target", model=None)


def test_unknown_layer_to_keep_dense() -> None:
    refused(UserError, "keep_dense: no layer is called 'hed'; did you mean 'head'?", model=Net(), keep_dense=["hed"])


def test_a_name_that_c_has_a_meaning_for() -> None:
    refused(UserError, "name 'pthread' can't be the prefix", "choose another", model=Net(), name="pthread")


def test_a_dump_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(OutputError, f"dump: can't make folder {tmp_path / 'file'}", model=None, dump=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_messages_name_no_place_in_our_code() -> None:
    with pytest.raises(NotSupportedError) as caught:
        sparsecc.compile(Net(Function(lambda x: x.cummax(1)[0])), example_inputs=(X,))
    assert not re.search(r"\.py\b|Traceback|0x[0-9a-f]{6}", str(caught.value))
