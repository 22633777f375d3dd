"""``torch.compile(model, backend="sparsecc")``: what is served, what runs in PyTorch, what is kept on disk."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import kernels_c
import pytest
import torch
from torch import nn
from torch_nets import NETS, X, inputs_of, linear

import sparsecc
from sparsecc.errors import FallbackWarning, NotSupportedError, OutputError, UserError
from sparsecc.pytorch import backend, kept
from sparsecc.pytorch.graph import bind, key_of

ROOT = Path(__file__).parent.parent
#: networks of the quick tests
QUICK = ("two",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test's libraries; nothing compiled before is known."""
    monkeypatch.setenv(kept.FOLDER, str(tmp_path / "cache"))
    monkeypatch.delenv(kept.MOST_BYTES, raising=False)
    torch._dynamo.reset()
    return tmp_path / "cache"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[backend.Served]:
    """The graphs that Dynamo gave to the backend."""
    found: list[backend.Served] = []

    class Noted(backend.Served):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr(backend, "Served", Noted)
    return found


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETS])
def test_networks_give_what_they_give_in_pytorch(name: str, served: list[backend.Served]) -> None:
    model, inputs = NETS[name]().eval(), inputs_of(name)
    compiled = torch.compile(model, backend=sparsecc.backend)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        torch.testing.assert_close(compiled(*inputs), model(*inputs), rtol=1e-4, atol=1e-5)
        compiled(*inputs)
    assert [one.made for one in served] == [1]


def test_the_backend_has_an_entry_point() -> None:
    """What the package's metadata name is the backend; PyTorch takes it by its name where the package is installed."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'\[project.entry-points."torch_dynamo_backends"\]\nsparsecc = "(.*):(.*)"', text)
    assert found is not None
    assert getattr(importlib.import_module(found[1]), found[2]) is sparsecc.backend


#: takes the library that the test's process compiled; what is compiled here would need TVM
AGAIN = """
import sys, warnings, torch
from torch_nets import X, linear
import sparsecc
from sparsecc.errors import FallbackWarning
warnings.simplefilter("error", FallbackWarning)
model = linear()
with torch.no_grad():
    found = torch.compile(model, backend=sparsecc.backend)(X)
    torch.testing.assert_close(found, model(X), rtol=1e-4, atol=1e-5)
assert "sparsecc.pytorch.backend" in sys.modules
assert not {"tvm", "sparsecc.compiled", "sparsecc.pipeline"} & set(sys.modules)
"""


def test_a_second_process_takes_what_the_first_compiled(cache: Path) -> None:
    with torch.no_grad():
        torch.compile(linear(), backend=sparsecc.backend)(X)
    (library,) = cache.iterdir()
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "examples")])
    done = subprocess.run(
        [sys.executable, "-c", AGAIN],
        env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(cache.iterdir()) == [library]


def test_shapes_and_weights_that_change(served: list[backend.Served]) -> None:
    """A library for each; sizes are symbols to Dynamo from the second one on."""
    model = linear()
    compiled = torch.compile(model, backend=sparsecc.backend)
    with torch.no_grad():
        for batch in (2, 1, 2):
            torch.testing.assert_close(compiled(X[:batch]), model(X[:batch]))
        assert sum(one.made for one in served) == 2
        before = compiled(X)
        model[0].weight.mul_(-2)  # as an optimizer or a state dict does it
        torch.testing.assert_close(compiled(X), model(X))
        assert not torch.equal(before, compiled(X))
    assert sum(one.made for one in served) == 3


def test_too_many_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "MOST_LIBRARIES", 0)
    with torch.no_grad(), pytest.warns(FallbackWarning, match="runs in PyTorch: 0 libraries were made of it"):
        torch.compile(linear(), backend=sparsecc.backend)(X)


class Sorted(nn.Module):
    """Has an operator that is not compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.pinv(self.inner(x))


class Own(torch.Tensor):
    """A tensor of the user's."""


def dropped() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5)).train()


@pytest.mark.parametrize(
    ("model", "inputs", "grad", "reason"),
    [
        (Sorted, (X,), False, "pinv"),
        (dropped, (X,), False, "dropout"),
        (linear, (X,), True, "PyTorch records gradients, which a library has none of; call it within"),
        (linear, (X.double(),), False, "float64"),
    ],
    ids=["operator", "training", "gradients", "type"],
)
def test_what_runs_in_pytorch(model: Any, inputs: tuple, grad: bool, reason: str, cache: Path) -> None:
    """One warning says why, whatever the number of calls; the result is PyTorch's."""
    net = model()
    if inputs[0].dtype == torch.float64:
        net = net.double()
    compiled = torch.compile(net, backend=sparsecc.backend)
    with torch.set_grad_enabled(grad), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = []
        for _ in range(2):
            torch.manual_seed(0)
            results.append(compiled(*inputs))
        torch.manual_seed(0)
        torch.testing.assert_close(results, [net(*inputs)] * 2, rtol=0, atol=0)
    texts = [str(one.message) for one in said if issubclass(one.category, FallbackWarning)]
    assert len(texts) == 1
    assert re.search(rf"torch.compile: a graph of \d+ nodes runs in PyTorch: .*{reason}", texts[0])
    if grad:
        results[0].sum().backward()
        assert net[0].weight.grad is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"speed": 9}, "options: found 'speed', expected some of target, keep_dense"),
        ({"min_speedup": "fast"}, "min_speedup: found 'fast'"),
        ({"target": "rpi4"}, "options: this machine can't run code for rpi4"),
    ],
)
def test_mistakes_in_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        sparsecc.backend(torch.fx.symbolic_trace(linear()), (X,), options=options)


class Tupled(nn.Module):
    """Returns what a graph of Dynamo's does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.inner(x),)


def test_options_are_those_of_compile(cache: Path, tmp_path: Path) -> None:
    """They are part of what a library is found by; files of records count by what is in them.

    A folder that can't be written, and a tensor of a layout that a library does not take, are no reason to fail.
    """
    log = tmp_path / "log.jsonl"
    log.write_text("")
    chosen = [{}, {"threads": 1}, {"keep_dense": ["0"]}, {"schedules": None}, {"schedules": log}]
    assert len({backend.backend_options(options).facts() for options in chosen}) == len(chosen)
    cache.write_text("a file")
    served = sparsecc.backend(torch.fx.symbolic_trace(Tupled()), (X,), options={"threads": 1, "winograd": False})
    with torch.no_grad():
        with pytest.warns(FallbackWarning, match="can't keep a library"):
            torch.testing.assert_close(served(X), Tupled()(X))
        with pytest.warns(FallbackWarning, match="runs in PyTorch: .*layout"):
            torch.testing.assert_close(served(X.to_sparse()), Tupled()(X))


def test_graphs_that_are_not_known_by_their_text() -> None:
    """A function of the user's may be another one in the next process; what is no tensor can't be a library's."""
    graph = torch.fx.Graph()
    graph.output((graph.call_function(inputs_of, (graph.placeholder("x"),)),))
    module = torch.fx.GraphModule(nn.Module(), graph)
    with pytest.raises(NotSupportedError, match=r"the function .* of torch_nets may be another one next time"):
        key_of(bind(module, (X,), (False,)))
    graph = torch.fx.Graph()
    graph.output((graph.placeholder("x"), "text"))
    with pytest.raises(NotSupportedError, match="the graph returns str, expected tensors and numbers"):
        bind(torch.fx.GraphModule(nn.Module(), graph), (X,), (False,))


def test_what_a_library_is_found_by() -> None:
    """Weights, shapes, facts."""
    module, other = torch.fx.symbolic_trace(Tupled()), torch.fx.symbolic_trace(Tupled())
    with torch.no_grad():
        other.get_parameter("inner.0.weight")[0, 0] += 1
    graphs = [(module, X), (other, X), (module, X[:1])]
    keys = [key_of(bind(graph, (x,), (False,)), "a") for graph, x in graphs]
    keys.append(key_of(bind(module, (X,), (False,)), "b"))
    assert len(set(keys)) == 4
    assert keys[0] == key_of(bind(torch.fx.symbolic_trace(Tupled()), (X,), (False,)), "a")


def test_damaged_and_strange_files_are_removed(cache: Path) -> None:
    """A library whose bytes were changed, one that was compiled from something else, and what is none."""
    description = {"target": "x86-64", "report": {"layers": []}, "meta": {kept.META: "key"}}
    library, path = kernels_c.build(kernels_c.edited(description=description), file="kept.so"), cache / "key.so"
    cache.mkdir()
    for bad in (library.read_bytes()[:-100], kernels_c.tiny_library().read_bytes(), b""):
        path.write_bytes(bad)
        assert kept.find("key", threads=None) is None
        assert not path.exists()
    path.write_bytes(library.read_bytes())
    found = kept.find("key", threads=1)
    assert found is not None
    assert found.threads == 1


def test_the_folder_is_bounded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for the longest time goes first; temporary files of killed processes go, too."""
    library = sparsecc.load(kernels_c.tiny_library())
    size = kernels_c.tiny_library().stat().st_size
    monkeypatch.setenv(kept.MOST_BYTES, str(2 * size + 1))
    cache.mkdir()
    (cache / ".x.so.12345678.tmp").write_bytes(b"")
    os.utime(cache / ".x.so.12345678.tmp", (0, 0))
    for age, key in enumerate("abc"):
        kept.keep(key, library)
        os.utime(cache / f"{key}.so", (age, age))
    assert sorted(path.name for path in cache.iterdir()) == ["b.so", "c.so"]
    monkeypatch.setenv(kept.MOST_BYTES, "1")
    kept.keep("d", library)
    assert [path.name for path in cache.iterdir()] == ["d.so"]
    monkeypatch.setenv(kept.FOLDER, "off")
    kept.keep("e", library)
    assert kept.find("d", threads=None) is None


def test_folders_that_can_not_be_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text("a file")
    with pytest.raises(OutputError, match=f"can't keep a library in .*; set {kept.FOLDER} to another folder"):
        kept.keep("a", sparsecc.load(kernels_c.tiny_library()))
    monkeypatch.setenv(kept.MOST_BYTES, "1 GB")
    with pytest.raises(UserError, match=f"{kept.MOST_BYTES}: found '1 GB', expected a number of bytes"):
        sparsecc.backend(torch.fx.symbolic_trace(linear()), (X,))


def test_where_libraries_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(kept.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept.kept_folder() == tmp_path / "sparsecc" / "libraries"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept.kept_folder() == tmp_path / ".cache" / "sparsecc" / "libraries"
