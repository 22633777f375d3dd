"""Bad arrays at a run, each its own error, and strange weights, which compile with a note.

The list begins in ``test_errors_import.py`` and goes on in ``test_errors_files.py``. Tested elsewhere, at their home:

* number, shape, type, device and layout of arrays; strided, unaligned, read-only and DLPack ones:
  ``test_runtime_calls.py``
* what is decided for layers without weights: ``test_plan.py``; their kernels: ``test_kernels.py``
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from nets import impose_1xn
from torch import Tensor, nn

import sparsecc
from sparsecc.errors import InputError, UserError

SHAPE = (1, 8, 6, 5)
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
NAMES = ("stem", "depthwise", "body", "head")


def pruned() -> nn.Sequential:
    """A layer of every kind; ``body`` keeps a quarter of its 16x1 blocks."""
    layers = (nn.Conv2d(8, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 64, 1))
    pool = (("relu", nn.ReLU()), ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()))
    net = nn.Sequential(OrderedDict([*zip(NAMES, layers, strict=False), *pool, ("head", nn.Linear(64, 5))])).eval()
    impose_1xn(net, 16, 0.75, include=["body"])
    return net


@torch.no_grad()
def compiled_like_pytorch(model: nn.Module) -> sparsecc.Compiled:
    """Compile, verified; results agree wherever both are finite, and the library carries the notes."""
    lib = sparsecc.compile(model, example_inputs=(X,))
    found, expected = lib(X), model(X)
    both = torch.isfinite(found) & torch.isfinite(expected)
    assert both.any()
    torch.testing.assert_close(found[both], expected[both], atol=1e-5, rtol=1e-4)
    assert lib.library.report["notes"] == list(lib.report.notes)
    assert all(f"note: {note}" in str(lib.report) for note in lib.report.notes)
    return lib


# --- strange weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite(value: float) -> None:
    model = pruned()
    with torch.no_grad():
        model.head.weight[2, 3] = value
        model.head.bias[4] = value
    lib = compiled_like_pytorch(model)
    assert lib.report.notes == tuple(f"layer head: 1 {what} are NaN or infinite" for what in ("biases", "weights"))
    np.testing.assert_array_equal(torch.isfinite(lib(X))[0], [True, True, False, True, False])


def test_nan_in_a_kept_block_of_a_sparse_layer_reaches_the_output() -> None:
    model = pruned()
    with torch.no_grad():
        model.body.weight.view(-1)[model.body.weight.view(-1).nonzero()[0]] = float("nan")
    lib = sparsecc.compile(model, example_inputs=(X,))
    assert {layer.name: layer.decision for layer in lib.plan.layers}["body"] == "sparse"
    assert lib.report.notes == ("layer body: 1 weights are NaN or infinite",)
    assert torch.equal(torch.isnan(lib(X)), torch.isnan(model(X)))


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ConvTranspose2d(8, 8, 3)], ids=str)
def test_weights_that_are_not_finite_meet_padding(layer: nn.Module) -> None:
    """PyTorch may skip zeros of padding that we multiply with: no reason to say that the library is wrong."""
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = float("nan")
    lib = compiled_like_pytorch(nn.Sequential(layer).eval())
    assert lib.report.notes == ("layer 0: 1 weights are NaN or infinite",)


def test_denormal_weights() -> None:
    model = pruned()
    with torch.no_grad():
        for name in NAMES:
            model.get_submodule(name).weight.view(-1)[-1] = 1e-40
    lib = compiled_like_pytorch(model)
    assert torch.isfinite(lib(X)).all()
    kept = {f"layer {name}: 1 weights are denormal; they count as kept" for name in ("stem", "body", "head")}
    assert set(lib.report.notes) == {*kept, "layer depthwise: 1 weights are denormal"}


def test_all_zero_layers() -> None:
    model = pruned()
    for name in ("depthwise", "body"):
        nn.init.zeros_(model.get_submodule(name).weight)
    lib = compiled_like_pytorch(model)
    assert lib.report.notes == ()
    assert {layer.name: layer.reason for layer in lib.plan.layers}["body"] == (
        "all weights are zero: the output is the bias"
    )


def test_a_network_of_zeros() -> None:
    model = pruned()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert not compiled_like_pytorch(model)(X).any()


@pytest.mark.parametrize("rows", [slice(0, 16), slice(16, 48)], ids=["first", "middle"])
def test_empty_rows_of_blocks(rows: slice) -> None:
    model = pruned()
    nn.init.zeros_(model.body.weight[rows])
    lib = compiled_like_pytorch(model)
    assert {layer.name: layer.decision for layer in lib.plan.layers}["body"] == "sparse"


# --- arrays at a run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lib() -> sparsecc.Compiled:
    torch.manual_seed(0)
    return sparsecc.compile(nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()).eval(), example_inputs=(X,))


def every_second(x: Tensor) -> Tensor:
    wide = torch.full((*SHAPE[:3], 2 * SHAPE[3]), float("nan"))
    wide[..., ::2] = x
    return wide[..., ::2]


STRIDED: dict[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every second": every_second,
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "batch of a batch": lambda x: torch.stack([x * 0, x])[1],
    "channels of more": lambda x: torch.cat([x * 0, x], 1)[:, SHAPE[1] :],
    "one channel for all": lambda x: x[:, :1].expand(SHAPE),
    "one pixel for all": lambda x: x[:, :, :1, :1].expand(SHAPE),
}


@pytest.mark.parametrize("how", STRIDED)
def test_strided_tensors_and_arrays_give_what_contiguous_ones_do(lib: sparsecc.Compiled, how: str) -> None:
    x = STRIDED[how](X)
    expected = lib(x.contiguous().clone())
    assert torch.equal(lib(x), expected)
    np.testing.assert_array_equal(lib(x.numpy()), expected.numpy())
    steps = lib.profile(x, runs=1)
    assert [key for key, _ in steps] == [step["key"] for step in lib.report.steps]
    assert all(seconds >= 0 for _, seconds in steps)


def test_arrays_that_run_backwards(lib: sparsecc.Compiled) -> None:
    for x in (X.numpy()[:, ::-1], X.numpy()[..., ::-1, ::-1], np.asfortranarray(X.numpy())):
        np.testing.assert_array_equal(lib(x), lib(np.ascontiguousarray(x)))


@pytest.mark.parametrize("out", [torch.empty(1, 16, 6, 10)[..., ::2], torch.empty(1, 1, 1, 1).expand(1, 16, 6, 5)])
def test_results_are_never_written_to_strided_memory(lib: sparsecc.Compiled, out: Tensor) -> None:
    for value in (out, out.numpy()):
        with pytest.raises(InputError, match=r"^model, out 0 \(output\): the result can't .* expected a contiguous"):
            lib(X, out=value)


def traced(lib: Any) -> Any:
    with torch._subclasses.FakeTensorMode():
        return lib(torch.empty(SHAPE))


NO_ARRAYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "none": (lambda lib: lib(None), "found NoneType, expected a NumPy array, a torch tensor or a DLPack object"),
    "objects": (lambda lib: lib(np.full(SHAPE, None)), "found ndarray, expected a NumPy array, a torch tensor"),
    "traced": (traced, "found a FakeTensor without memory, as while a model is traced; expected a tensor with values"),
    "mapped": (lambda lib: torch.vmap(lib)(X[None]), "found a Tensor without memory"),
    "nested": (lambda lib: lib(torch.nested.nested_tensor([X[0]])), "found a nested tensor, expected a dense one"),
    "quantized": (lambda lib: lib(torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)), "found dtype qint8, expected fl"),
    "rank": (lambda lib: lib(X[0]), r"found shape \(8, 6, 5\), expected \(1, 8, 6, 5\)"),
}


@pytest.mark.parametrize("case", NO_ARRAYS)
def test_what_is_no_array_of_numbers(lib: sparsecc.Compiled, case: str) -> None:
    call, message = NO_ARRAYS[case]
    with pytest.raises(InputError, match=rf"^model, input 0 \(input\): {message}"):
        call(lib)


def test_more_threads_than_c_can_count_are_many_threads(lib: sparsecc.Compiled) -> None:
    lib.library.threads = 1 << 32
    assert lib.library.threads > 1
    with pytest.raises(UserError, match="threads: found -1, expected a number of threads, or 0 for all"):
        lib.library.threads = -1
