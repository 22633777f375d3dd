"""Networks compiled for several shapes: one set of weights, results as PyTorch's, clear words where it can't be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_case import command
from nets import impose_1xn
from onnx import helper
from onnx_case import save
from patience import PATIENCE_S
from torch import nn
from torch.export import Dim

import sparsecc
from sparsecc.cli.shapes import asked_shape
from sparsecc.errors import InputError, ModelError, NotSupportedError, SparseccError, UserError
from sparsecc.importer import requests_of
from sparsecc.runtime import Library

DYNAMIC = {"x": {0: Dim("batch", max=64), 2: Dim.AUTO, 3: Dim.AUTO}}


class Net(nn.Module):
    """A first layer, a depthwise and a pruned one, a pruned 3x3 one, and a head for any size of image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.point = nn.Conv2d(32, 64, 1)
        self.body = nn.Conv2d(64, 32, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.point(torch.relu(self.deep(torch.relu(self.stem(x))))))
        return self.head(torch.relu(self.body(x)).mean((2, 3)))


class Mixed(nn.Module):
    """What an image gives depends on the others of its batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0, keepdim=True)


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    model = Net().eval()
    impose_1xn(model, 16, 0.75, include=["point", "body"])
    return model


@pytest.fixture(scope="module")
def program(net: nn.Module) -> Any:
    return torch.export.export(net, (torch.randn(2, 3, 32, 32),), dynamic_shapes=DYNAMIC)


@pytest.fixture(scope="module")
def batches(net: nn.Module) -> Any:
    return sparsecc.compile(net, example_inputs=(torch.randn(1, 3, 20, 20),), batch=(1, 2, 4), threads=1)


def is_right(library: Callable[..., Any], net: nn.Module, *shape: int) -> bool:
    x = torch.randn(*shape)
    with torch.no_grad():
        return torch.allclose(library(x), net(x), rtol=0, atol=1e-5)


def test_batches_have_one_set_of_weights(net: nn.Module, batches: Any) -> None:
    assert [shape.sizes for shape in batches.shapes] == [((n, 3, 20, 20),) for n in (1, 2, 4)]
    assert all(is_right(batches, net, n, 3, 20, 20) for n in (1, 2, 4, 3, 7))
    alone = sparsecc.compile(net, example_inputs=(torch.randn(1, 3, 20, 20),), threads=1, verify=False)
    found, least = (lib.library.description["weight_bytes"] for lib in (batches, alone))
    assert found <= 1.02 * least
    assert batches.report.error < 1e-5
    assert [row["error"] < 1e-5 for row in batches.report.shapes] == [True] * 3
    assert "shape 2: 4x3x20x20: " in str(batches.report)


def test_reports_of_other_shapes_have_their_own_steps_and_sizes(batches: Any) -> None:
    library: Library = batches.library
    first, last = (library.report_of(shape).read() for shape in (library.shapes[0], library.shapes[2]))
    assert 4 * first.plan.totals.kept_macs == last.plan.totals.kept_macs
    assert [key for key, _ in library.profile(np.zeros((4, 3, 20, 20), "float32"), runs=1)] == [
        step["key"] for step in last.steps
    ]
    assert json.loads(json.dumps(library.report.to_json()))["shapes"][2]["inputs"] == [[4, 3, 20, 20]]


@pytest.mark.slow
def test_images_of_several_sizes(net: nn.Module) -> None:
    library = sparsecc.compile(net, shapes=[(1, 3, 20, 20), (2, 3, 32, 24)], threads=1)
    assert is_right(library, net, 1, 3, 20, 20)
    assert is_right(library, net, 4, 3, 32, 24)
    sizes = [sum(a.nbytes for a in library._artefact.program.weights), library.library.description["weight_bytes"]]
    alone = sparsecc.compile(net, shapes=(2, 3, 32, 24), threads=1, verify=False)
    assert sizes[1] <= 1.05 * alone.library.description["weight_bytes"], "offsets of other images"
    with pytest.raises(InputError, match=r"found x \(1, 3, 24, 24\), which is none of its shapes"):
        library(torch.randn(1, 3, 24, 24))


def test_an_exported_program_gets_the_sizes_that_it_leaves_open(net: nn.Module, program: Any, tmp_path: Path) -> None:
    torch.export.save(program, tmp_path / "net.pt2")
    library = sparsecc.compile(tmp_path / "net.pt2", shapes={"x": (1, 3, 20, 20)}, batch=(1, 2), threads=1)
    assert is_right(library, net, 3, 3, 20, 20)
    assert library.library.description["network"] == "net"
    assert sparsecc.inspect(program, shapes={"x": (8, 3, 20, 20)}).layers[0].spec.n == 8
    by_example = requests_of(program, (torch.randn(2, 3, 20, 20),), None, (1, 4))
    assert [tuple(examples[0].shape) for _, examples in by_example] == [(1, 3, 20, 20), (4, 3, 20, 20)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            r"shape \(any, 3, any, any\) is dynamic, expected fixed sizes; say which: shapes=\{'x': \(1, 3, 224, 224\)",
        ),
        ({"batch": 4}, r"say the others too: shapes=\{'x': \(4, 3, \.\.\., \.\.\.\)\}"),
        ({"shapes": {"z": (1, 3, 8, 8)}}, "'z' is no input, expected of: x"),
        ({"shapes": {"x": (1, 4, 8, 8)}}, r"found shape \(1, 4, 8, 8\), expected \(any, 3, any, any\)"),
        ({"shapes": {"x": (1, 3, 8)}}, r"found shape \(1, 3, 8\), expected"),
        ({"shapes": [((1, 3, 8, 8), (1, 3))]}, "found 2, expected of: x"),
        ({"shapes": {"x": (99, 3, 8, 8)}}, r"can't have inputs of \(99, 3, 8, 8\) .*dynamic_shapes allow"),
    ],
)
def test_what_a_program_can_not_have(program: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((ModelError, NotSupportedError), match=said):
        sparsecc.compile(program, **options)


def test_a_program_of_fixed_shape_says_how_to_export_it(net: nn.Module) -> None:
    fixed = torch.export.export(net, (torch.randn(1, 3, 20, 20),))
    with pytest.raises(
        ModelError, match="export it with dynamic_shapes= for dimensions that are to change, or give the"
    ):
        sparsecc.compile(fixed, batch=(1, 2))
    assert requests_of(fixed, None, None, 1)[0][0] is fixed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 8}, "needs example_inputs with it, or shapes=: they say the sizes besides the batch"),
        ({"batch": "8"}, "batch: found '8', expected a positive number such as 8, or several such as"),
        ({"batch": 0}, "batch: found 0"),
        ({"batch": ()}, r"batch: found \(\)"),
        ({"batch": (1, 2.5)}, "batch: found"),
        ({"batch": (1, 2, 1)}, "batch: found 1 twice"),
        ({"batch": tuple(range(1, 99))}, "found 98, expected at most 64"),
        ({"shapes": []}, "shapes: found list"),
        ({"shapes": "x"}, "shapes: found str"),
        ({"shapes": [3.5]}, "shapes: found float"),
        ({"shapes": [(1, 0)]}, r"shapes: found \(1, 0\) for input 0, expected sizes from 1"),
        ({"shapes": [(1, 3), (1, 3)]}, "twice, expected each once"),
        ({"shapes": [(1, 3), (2, 3)], "batch": 2}, "say the batch of each in shapes="),
        ({"shapes": {"y": (1, 3, 8, 8)}}, "'y' is no argument of the model's forward, expected of: x"),
    ],
)
def test_mistakes_in_shapes_and_batch(net: nn.Module, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        sparsecc.compile(net, **options)


def test_modules_have_shapes_by_the_names_of_their_arguments() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    examples = (torch.ones(2, 4), torch.arange(4).reshape(2, 2))
    (_, found), *_ = requests_of(Two(), examples, [{"y": (3, 2)}], None)
    assert [tuple(x.shape) for x in found] == [(2, 4), (3, 2)]
    assert torch.equal(found[1][:2], examples[1]), "the caller's images are used"
    assert found[1].dtype == torch.int64
    with pytest.raises(UserError, match="found no sizes for y"):
        requests_of(Two(), None, {"x": (1, 2)}, None)
    with pytest.raises(UserError, match="only compile makes programs for several"):
        sparsecc.inspect(Two(), shapes=[(1, 2), (2, 2)])


def test_a_batch_is_split_only_where_images_are_computed_apart() -> None:
    library = sparsecc.compile(Mixed(), shapes=[(1, 4), (2, 4), (3, 4)], threads=1)
    x = torch.randn(3, 4)
    assert torch.allclose(library(x), Mixed()(x), atol=1e-6)
    assert not library.library.description["in_pieces"]
    with pytest.raises(InputError, match=r"found x \(4, 4\), which can't be made of those batches"):
        library(torch.randn(4, 4))
    whole = sparsecc.compile(nn.Flatten(0), shapes=[(1, 4), (2, 4)], threads=1)
    assert torch.equal(whole(x[:2]), x[:2].reshape(-1))
    with pytest.raises(InputError, match="can't be made"):
        whole(x)


def test_networks_that_differ_from_shape_to_shape_are_refused() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return (x, x) if len(x) > 1 else x

    class Deep(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(1, 2, -1) if len(x) > 1 else x

    for model in (Odd(), Deep()):
        with pytest.raises(NotSupportedError, match=r"with the 2. shape the network has outputs .*a library for each"):
            sparsecc.compile(model, shapes=[(1, 4), (2, 4)])


def test_an_onnx_file_with_an_open_batch(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype("float32")
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        inputs={"x": ("N", 3, 6, 6)},
        weights={"w": weight},
    )
    library = sparsecc.compile(path, batch=(1, 3), threads=1)
    x = np.random.default_rng(1).standard_normal((4, 3, 6, 6)).astype("float32")
    assert np.allclose(library(x), np.einsum("oc,nchw->nohw", weight[:, :, 0, 0], x), atol=1e-5)
    assert len(requests_of(path, (torch.ones(3, 3, 6, 6),), None, (1, 3))[1][1]) == 1
    sizes = sparsecc.compile(path, shapes=[(1, 3, 6, 6)], batch=2, threads=1)
    assert sizes.inputs[0].shape == (2, 3, 6, 6)
    fixed = save(tmp_path / "f.onnx", [helper.make_node("Relu", ["x"], ["y"])], inputs={"x": (1, 3)})
    with pytest.raises(ModelError, match=r"found shape \(2, 3\), expected \(1, 3\) as"):
        sparsecc.compile(fixed, batch=(1, 2))
    with pytest.raises(ModelError, match="found 2, expected at most 1"):
        sparsecc.compile(fixed, shapes=[((1, 3), (1, 3))])


def test_a_module_around_a_library_takes_its_shapes(net: nn.Module, batches: Any) -> None:
    module = batches.as_module()
    assert all(is_right(module, net, n, 3, 20, 20) for n in (1, 4, 3))
    exported = torch.export.export(module, (torch.randn(3, 3, 20, 20),))
    assert is_right(exported.module(), net, 3, 3, 20, 20)


@pytest.mark.slow
def test_the_folder_and_the_command_line(net: nn.Module, program: Any, tmp_path: Path) -> None:
    torch.export.save(program, tmp_path / "m.pt2")
    out = f"{tmp_path / 'out'}/"
    sizes = ["--shape", "x=1,3,12,12", "--shape", "x=2,3,20,16"]
    done = command("compile", tmp_path / "m.pt2", "-o", out, *sizes)
    assert done.returncode == 0, done.stderr
    assert "shape 1: 2x3x20x16: " in done.stdout
    library = Path(out, "model.so")
    shown = command("inspect", library, alone=True).stdout
    assert "1x3x12x12; 2x3x20x16; batches of other sizes are run in pieces" in shown
    assert "shape 1: 2 x 3 x 20 x 16" in Path(out, "README.md").read_text()
    x = np.random.default_rng(0).standard_normal((6, 3, 20, 16)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    command("run", library, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", alone=True)
    with torch.no_grad():
        assert np.allclose(np.load(tmp_path / "y.npy"), net(torch.from_numpy(x)), atol=1e-5)
    timed = subprocess.run(
        [f"{out}model_bench", "--shape", "1", "--runs", "1"], capture_output=True, timeout=PATIENCE_S
    )
    assert timed.returncode == 0
    loaded = "import numpy as np; from model_numpy import Model; print(Model(threads=1)(np.load('../x.npy')).shape)"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=out, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "(6, 10)\n", done.stderr
    for words, said in (
        (["--shape", "x=2,3,20,16", "--runs", "1", "--layers"], "input 2x3x20x16"),
        (["--shape", "x=2,3,20,16", "--batch", "6", "--runs", "1"], "input 6x3x20x16"),
        (["--batch", "1,2"], "found 2 batches, expected one"),
        (["--shape", "z=1"], "'z' is no input, expected of: x"),
        (["--shape", "x=9,9,9,9"], "which is none of its shapes"),
        ([*sizes], "found 2 shapes, expected one to measure"),
    ):
        done = command("bench", library, *words, alone=True)
        assert said in done.stdout + done.stderr, done


def test_options_that_name_shapes() -> None:
    from argparse import Namespace

    from sparsecc.cli.arguments import shapes_of

    two = [("x", (1, 3)), ("y", (1, 4)), ("x", (2, 3)), ("y", (2, 4))]
    assert shapes_of(Namespace(shape=two)) == [{"x": (1, 3), "y": (1, 4)}, {"x": (2, 3), "y": (2, 4)}]
    with pytest.raises(UserError, match="found 2 of x, 1 of y, expected as many of each"):
        shapes_of(Namespace(shape=two[:3]))
    one = sparsecc.compile(nn.ReLU(), shapes=(1, 4), threads=1).shapes
    with pytest.raises(UserError, match="expected one of the library's shapes"):
        asked_shape(one, Namespace(shape=None, batch=(2,)))
    assert issubclass(UserError, SparseccError)
