"""A library as a module of PyTorch's, and as an operator that its tracers know."""

from __future__ import annotations

import copy
import gc
import io
import sys
from dataclasses import replace
from pathlib import Path

import kernels_c
import pytest
import torch

from sparsecc.errors import InputError, LibraryError, UserError
from sparsecc.pytorch.module import LibraryModule
from sparsecc.runtime import Library, load

X = torch.from_numpy(kernels_c.X)
Y = torch.from_numpy(kernels_c.Y)


class Around(torch.nn.Module):
    """A model with a library in its middle."""

    def __init__(self, library: Library) -> None:
        super().__init__()
        self.inner = library.as_module()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x + 1) * self.scale


def test_opcheck(library: Library) -> None:
    """Schema, fake implementation and autograd registration, as PyTorch itself tests them."""
    module = library.as_module()
    found = torch.library.opcheck(torch.ops.sparsecc.run.default, ([X], module.key))
    assert set(found.values()) == {"SUCCESS"}


def test_a_module_gives_what_the_library_gives(library: Library) -> None:
    module = library.as_module()
    torch.testing.assert_close(module(X), Y)
    torch.testing.assert_close(copy.deepcopy(module)(X), Y)
    assert not list(module.parameters())
    assert "tiny" in repr(module)
    pair = load(kernels_c.build(kernels_c.two_ports())).as_module()
    first, second = pair(X, 2 * X)
    torch.testing.assert_close(first, Y)
    assert first.shape == second.shape


def test_results_are_put_together_as_the_networks(tmp_path: Path) -> None:
    program = replace(kernels_c.two_ports("dicts"), structure={"dict": [["y", 0], ["more", {"list": [1]}]]})
    kernels_c.link(program, tmp_path / "dicts.so")
    module = load(tmp_path / "dicts.so").as_module()
    found = torch.export.export(module, (X, X)).module()(X, X)
    assert list(found) == ["y", "more"]
    torch.testing.assert_close(found["more"][0], Y)


def test_export_and_compile(library: Library) -> None:
    """Inside of a larger model; the graph keeps the library, also if nobody else does."""
    model = Around(load(kernels_c.tiny_library()))
    with torch.no_grad():
        expected = 2 * torch.from_numpy(kernels_c.tiny_reference(kernels_c.X + 1))
        program = torch.export.export(model, (X,))
        torch.testing.assert_close(model(X), expected)
        torch.testing.assert_close(torch.compile(model, backend="aot_eager", fullgraph=True)(X), expected)
        assert "sparsecc.run" in str(program.graph)
        file = io.BytesIO()
        torch.export.save(program, file)
        del model, program
        gc.collect()
        file.seek(0)
        torch.testing.assert_close(torch.export.load(file).module()(X), expected)


def test_a_graph_whose_library_is_missing() -> None:
    with pytest.raises(LibraryError, match=r"no library tiny-0 in this process, .*as_module\(\)\) first"):
        torch.ops.sparsecc.run([X], "tiny-0")


def test_gradients_are_refused(library: Library) -> None:
    """Where they are asked for, by PyTorch."""
    x = X.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=r"no autograd formula|not implemented"):
        library.as_module()(x).sum().backward()


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ((X, X), r"tiny: found 2 input\(s\), expected 1"),
        ((X[:1],), r"tiny, input 0 \(x\): found torch.float32 of shape \(1, 5, 7\), expected float32"),
        ((X.double(),), r"tiny, input 0 \(x\): found torch.float64"),
    ],
)
def test_inputs_that_do_not_fit_are_seen_while_tracing(library: Library, inputs: tuple, text: str) -> None:
    with torch._subclasses.FakeTensorMode() as mode, pytest.raises(InputError, match=text):
        torch.ops.sparsecc.run([mode.from_tensor(x) for x in inputs], library.as_module().key)
    with pytest.raises(InputError):
        library.as_module()(*inputs)


def test_saved_with_a_model(tmp_path: Path) -> None:
    model = Around(load(kernels_c.tiny_library()))
    torch.save(model, tmp_path / "model.pt")
    again = torch.load(tmp_path / "model.pt", weights_only=False)
    assert isinstance(again.inner, LibraryModule)
    torch.testing.assert_close(again(X), model(X))


def test_without_pytorch(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sparsecc.pytorch.module")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match="needs the package torch, which is not installed"):
        library.as_module()
