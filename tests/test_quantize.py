"""`sparsecc.quantize`: pruned float models to programs of codes, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_case import ROOT
from graph_runner import run_graph
from torch import Tensor, nn

import sparsecc
from sparsecc.errors import InputError, ModelError, UserError
from sparsecc.importer import import_model
from sparsecc.pipeline import extract
from sparsecc.pytorch.quantized import flow
from sparsecc.pytorch.quantized.images import quantize_file
from sparsecc.pytorch.quantized.report import signal_to_noise


class Small(nn.Module):
    """A pruned network: a layer in a class of its own, one by a function, batch norm, a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.wide = nn.Conv2d(8, 8, 3, padding=1)
        self.own = nn.Parameter(torch.randn(8, 8, 1, 1))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images."""
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.wide(x) + x)
        x = nn.functional.conv2d(x, self.own)
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def pruned() -> nn.Module:
    torch.manual_seed(0)
    model = Small().eval()
    sparsecc.prune.OneByN(n=4, sparsity=0.5).apply(model)
    return model


def images(count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 1, 8, 8, generator=generator) for _ in range(count)]


@pytest.fixture(scope="module")
def made(pruned: nn.Module) -> sparsecc.Quantized:
    return sparsecc.quantize(pruned, images())


def test_every_layer_becomes_one_of_codes(made):
    graph = extract(import_model(made.program)).graph
    kernels = [node.operator.kernel for node in graph.nodes if node.operator.kernel not in ("generic", "")]
    assert [kernel for kernel in kernels if kernel != "mean"] == ["qconv", "qconv", "qconv", "qlinear"]
    assert [layer.name for layer in made.layers][:2] == ["stem", "wide"]
    assert all(layer.signal_to_noise is not None and layer.signal_to_noise > 25 for layer in made.layers)
    assert made.signal_to_noise > 20
    assert "signal to noise" in str(made)
    assert str(made).count(" dB") == 5


def test_pruned_weights_stay_zero(made):
    wide = made.layers[1]
    assert wide.zeros_before == 0.5
    assert wide.zeros >= 0.5
    layers = {layer.name: layer for layer in import_model(made.program).layers.values() if layer.name == "wide"}
    assert (layers["wide"].weight == 0).mean() >= 0.5


def test_results_are_those_of_the_quantized_program(made):
    extracted, (x,) = extract(import_model(made.program)), images(1)
    graph = extracted.graph
    found = run_graph(graph, extracted.module, [x.numpy()])[graph.outputs[0]]
    expected = made.program.module()(x).detach().numpy()
    assert np.abs(found - expected).max() <= 0.02 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore:XNNPACKQuantizer")
@pytest.mark.parametrize(
    "is_trained", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["calibrated", "trained"]
)
def test_other_quantizers(is_trained):
    """int8 activations, codes between all operators; and what training with quantization leaves."""
    from torchao.quantization.pt2e import quantize_pt2e as pt2e
    from torchao.testing.pt2e import _xnnpack_quantizer as xnnpack

    torch.manual_seed(0)
    config = xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_qat=is_trained)
    prepare = pt2e.prepare_qat_pt2e if is_trained else pt2e.prepare_pt2e
    prepared = prepare(
        torch.export.export(Small().train(is_trained), tuple(images(1))).module(),
        xnnpack.XNNPACKQuantizer().set_global(config),
    )
    for x in images():
        prepared(x)
    program = torch.export.export(pt2e.convert_pt2e(prepared), tuple(images(1)))
    extracted, (x,) = extract(import_model(program)), images(1)
    graph = extracted.graph
    assert [n.operator.kernel for n in graph.nodes if n.operator.kernel.startswith("q")][:2] == ["qconv"] * 2
    found = run_graph(graph, extracted.module, [x.numpy()])[graph.outputs[0]]
    expected = program.module()(x).detach().numpy()
    assert np.abs(found - expected).max() <= 0.02 * np.abs(expected).max()


def test_programs_go_through_files(made, tmp_path):
    """In a process that has no torchao, and has not heard of PyTorch's operators of codes."""
    path = tmp_path / "model.pt2"
    torch.export.save(made.program, path)
    code = (
        "import sys; sys.modules['torchao'] = None\n"
        "from sparsecc.importer import import_model\n"
        f"print(len(import_model({str(path)!r}).layers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "5", done.stderr


def test_layers_stay_float_by_name(pruned):
    found = sparsecc.quantize(pruned, images(2), keep_float=["st*"])
    assert [layer.signal_to_noise is None for layer in found.layers] == [True, False, False, False]
    assert "float32" in str(found)


def test_the_model_stays_as_it_is(pruned):
    (x,) = images(1)
    before = pruned(x)
    sparsecc.quantize(pruned, images(1))
    assert torch.equal(pruned(x), before)
    assert hasattr(pruned.wide, "parametrizations")


def test_what_is_refused(pruned, monkeypatch):
    with pytest.raises(UserError, match="calibration: found no inputs"):
        sparsecc.quantize(pruned, [])
    with pytest.raises(UserError, match="'tail' names no convolution or linear layer"):
        sparsecc.quantize(pruned, images(1), keep_float="tail")
    with pytest.raises(ModelError, match="torchao can't quantize it"):
        sparsecc.quantize(pruned, [*images(1), torch.zeros(1, 2, 8, 8)])
    monkeypatch.setitem(sys.modules, "torchao.quantization.pt2e.quantize_pt2e", None)
    with pytest.raises(UserError, match="quantizing needs the package torchao"):
        flow.quantize(pruned, images(1))


def test_images_of_a_file(pruned, tmp_path):
    model, archive = tmp_path / "model.pt2", tmp_path / "images.npz"
    torch.export.save(torch.export.export(pruned, tuple(images(1))), model)
    np.savez(archive, x=torch.cat(images(3)).numpy())
    assert len(quantize_file(model, archive, keep_float=["head"]).layers) == 4


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((3, 2, 8, 8), np.float32)}, r"found float32 \(3, 2, 8, 8\), expected float32 of at least"),
        ({"x": np.zeros((3, 1, 8, 8))}, "found float64"),
        ({"x": np.zeros((0, 1, 8, 8), np.float32)}, r"found float32 \(0, 1, 8, 8\)"),
        ({"x": np.zeros((1, 1, 8, 8), np.float32), "y": np.zeros(1, np.float32)}, "found 2 arrays"),
    ],
    ids=["channels", "type", "none", "two"],
)
def test_images_that_are_none(pruned, tmp_path, arrays, said):
    model, archive = tmp_path / "model.pt2", tmp_path / "images.npz"
    torch.export.save(torch.export.export(pruned, tuple(images(1))), model)
    np.savez(archive, **arrays)
    with pytest.raises(InputError, match=said):
        quantize_file(model, archive)


def test_files_that_are_no_images(pruned, tmp_path):
    model = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(pruned, tuple(images(1))), model)
    single, text = tmp_path / "single.npy", tmp_path / "text.npz"
    np.save(single, np.zeros(3))
    text.write_text("images")
    for path, said in ((single, "a single array"), (text, "not an archive"), (Path("none.npz"), "can't be read")):
        with pytest.raises(InputError, match=said):
            quantize_file(model, path)


def test_signal_to_noise():
    x = torch.ones(10)
    assert signal_to_noise(x, x) == float("inf")
    assert signal_to_noise(x, x + 0.1) == pytest.approx(20, abs=1e-3)
    assert signal_to_noise(0 * x, x) == float("-inf")
