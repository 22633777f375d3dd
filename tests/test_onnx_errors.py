"""ONNX files that are damaged, or have what is not translated, and shapes that are wrong: each its clear error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from cli_case import fails
from onnx import helper
from onnx_case import FLOAT, save

import sparsecc
from sparsecc.errors import ModelError, NotSupportedError, SparseccError, UserError, VerificationError
from sparsecc.importer import import_model, with_shapes
from sparsecc.importer.onnx import table
from sparsecc.importer.onnx.read import read
from sparsecc.importer.sorting import SORTING
from sparsecc.verify import onnx as verify_onnx

WEIGHT = np.ones((4, 3, 1, 1), np.float32)
SHAPE = (1, 3, 8, 8)


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"/{op}", **attributes)


def good(folder: Path) -> Path:
    return save(folder / "m.onnx", [node("Conv", "x w")], inputs={"x": SHAPE}, weights={"w": WEIGHT})


def beside(folder: Path, **entries: str) -> Path:
    """A file whose weight lies in another one, or is said to."""
    model = onnx.load(good(folder))
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    model = onnx.load(folder / "m.onnx", load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def changed(folder: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    model = onnx.load(good(folder))
    change(model)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def refused(path: Path, kind: type[SparseccError], **shapes: Any) -> str:
    with pytest.raises(kind) as caught:
        import_model(with_shapes(path, shapes or None), None)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_files_that_are_cut_off(cut: float, tmp_path: Path) -> None:
    data = good(tmp_path).read_bytes()
    (tmp_path / "m.onnx").write_bytes(data[: int(len(data) * cut)])
    message = refused(tmp_path / "m.onnx", ModelError)
    assert str(tmp_path / "m.onnx") in message or "layer" in message
    assert "damaged" in message or "weight" in message or "rules" in message


@pytest.mark.parametrize("data", [b"", b"\x08", b"text, not ONNX", bytes(64), b"\xff" * 64])
def test_files_that_are_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    assert "damaged" in refused(tmp_path / "m.onnx", ModelError)


def test_flipped_bits_give_an_error_of_ours_or_a_network(tmp_path: Path) -> None:
    data = good(tmp_path).read_bytes()
    for i, at in enumerate(np.random.default_rng(0).integers(0, len(data), 30)):
        (tmp_path / "m.onnx").write_bytes(data[:at] + bytes([data[at] ^ 1 << i % 8]) + data[at + 1 :])
        with suppress(ModelError, NotSupportedError):
            import_model(tmp_path / "m.onnx", None)


def test_no_file(tmp_path: Path) -> None:
    assert "no such file; expected an ONNX file" in refused(tmp_path / "m.onnx", ModelError)
    (tmp_path / "d.onnx").mkdir()
    assert "is a folder" in refused(tmp_path / "d.onnx", ModelError)
    with pytest.raises(ModelError, match="can't be read"):
        read(tmp_path)


FILES: dict[str, tuple[type[SparseccError], str, Callable[[Path], Path]]] = {
    "no data": (ModelError, "copy the files beside the model", lambda f: beside(f, location="other.bin")),
    "outside": (ModelError, "expected a file in the model's folder", lambda f: beside(f, location="../m.bin")),
    "absolute": (ModelError, "expected a file in the model's folder", lambda f: beside(f, location="/etc/hostname")),
    "too short": (ModelError, "copy both files again", lambda f: beside(f, offset="40")),
    "of another size": (ModelError, "expected 48 for shape", lambda f: beside(f, length="4")),
    "no number": (ModelError, "is no number", lambda f: beside(f, offset="zero")),
    "too old": (NotSupportedError, "opset 8 is not supported, expected 9 to", lambda f: changed(
        f, lambda m: m.opset_import[0].__setattr__("version", 8))),
    "too new": (NotSupportedError, "opset 99 is newer than the package onnx", lambda f: changed(
        f, lambda m: m.opset_import[0].__setattr__("version", 99))),
    "no version": (NotSupportedError, "opset unknown", lambda f: changed(f, lambda m: m.opset_import.pop())),
    "other domain": (NotSupportedError, "FusedConv of domain com.microsoft is not supported", lambda f: save(
        f / "m.onnx", [node("FusedConv", "x", domain="com.microsoft")], inputs={"x": SHAPE},
        domains=["com.microsoft"])),
    "unknown operator": (ModelError, "layer /Convolve: operator Convolve is none that", lambda f: changed(
        f, lambda m: m.graph.node[0].MergeFrom(onnx.NodeProto(op_type="Convolve", name="/Convolve")))),
    "not translated": (NotSupportedError, "layer /Det: operator Det is not supported", lambda f: save(
        f / "m.onnx", [node("Det", "x")], inputs={"x": SHAPE})),
    "random": (NotSupportedError, "/RandomNormalLike: .*random number", lambda f: save(
        f / "m.onnx", [node("RandomNormalLike", "x")], inputs={"x": SHAPE})),
    "does not fit": (ModelError, r"layer /Conv: operator Conv does not fit its inputs of shapes \(1, 5, 8, 8\)",
        lambda f: save(f / "m.onnx", [node("Conv", "x w")], inputs={"x": (1, 5, 8, 8)}, weights={"w": WEIGHT})),
    "rules": (ModelError, "breaks ONNX's rules", lambda f: save(
        f / "m.onnx", [node("Conv", "x missing")], inputs={"x": SHAPE})),
    "half": (NotSupportedError, "weight w: found torch.float16", lambda f: save(
        f / "m.onnx", [node("Cast", "x", "h", to=onnx.TensorProto.FLOAT16), node("Conv", "h w")], inputs={"x": SHAPE},
        weights={"w": WEIGHT.astype(np.float16)})),
    "no type": (NotSupportedError, "weight w: type STRING is not supported", lambda f: save(
        f / "m.onnx", [node("Relu", "x")], inputs={"x": SHAPE}, weights={"w": np.array(["a"], object)})),
    "no network": (ModelError, "without a network", lambda f: changed(f, lambda m: m.graph.ClearField("node"))),
    "sparse": (NotSupportedError, "sparse_initializer", lambda f: changed(
        f, lambda m: m.graph.sparse_initializer.add())),
    "twice": (ModelError, "two weights have one name", lambda f: changed(
        f, lambda m: m.graph.initializer.append(m.graph.initializer[0]))),
    "weight's size": (ModelError, "weight w: its data does not fit its shape", lambda f: changed(
        f, lambda m: m.graph.initializer[0].dims.append(7))),
    "doubles": (NotSupportedError, "input x: found torch.float64, expected torch.float32", lambda f: changed(
        f, lambda m: m.graph.input[0].type.tensor_type.__setattr__("elem_type", onnx.TensorProto.DOUBLE))),
    "no tensor": (NotSupportedError, "input x: found sequence, expected a tensor", lambda f: changed(
        f, lambda m: m.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", FLOAT, None)))),
    "training": (NotSupportedError, "training_mode is not supported", lambda f: save(
        f / "m.onnx", [node("Dropout", "x r t")], inputs={"x": SHAPE},
        weights={"r": np.float32(0.5), "t": np.bool_(True)})),
    "a shape of values": (NotSupportedError, "layer /Reshape: operator Reshape: shape depends on the network's inputs",
        lambda f: save(f / "m.onnx", [node("Cast", "x", "i", to=onnx.TensorProto.INT64), node("Reshape", "x i")],
            inputs={"x": (4,)})),
    "a type of no meaning": (NotSupportedError, "type STRING is not supported", lambda f: save(
        f / "m.onnx", [node("Cast", "x", to=onnx.TensorProto.STRING)], inputs={"x": SHAPE})),
    "a long sequence": (NotSupportedError, "a sequence of 65 steps", lambda f: save(
        f / "m.onnx", [node("RNN", "x w r", hidden_size=2)], inputs={"x": (65, 1, 3)},
        weights={"w": np.ones((1, 2, 3), np.float32), "r": np.ones((1, 2, 2), np.float32)})),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_has_is_named(name: str, tmp_path: Path) -> None:
    kind, words, make = FILES[name]
    with pytest.raises(kind, match=words):
        import_model(make(tmp_path), None)


def test_data_behind_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = beside(tmp_path / "in")
    (tmp_path / "in" / "m.bin").rename(tmp_path / "m.bin")
    (tmp_path / "in" / "m.bin").symlink_to(tmp_path / "m.bin")
    assert "expected a file in the model's folder" in refused(path, ModelError)


def test_shapes(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Relu", "x")], inputs={"x": ("N", 3, "H", 8)})
    message = refused(path, ModelError)
    assert "input x of" in message
    assert "--shape x=1,3,1,8" in message
    assert "'y' is no input of" in refused(path, ModelError, y=(1,))
    assert "found shape (1, 4, 8, 8), expected (N, 3, H, 8)" in refused(path, ModelError, x=(1, 4, 8, 8))
    assert "more than this machine has memory" in refused(path, ModelError, x=(1 << 36, 3, 8, 8))
    with pytest.raises(ModelError, match="found 2, expected 1"):
        import_model(path, [torch.zeros(1, 3, 8, 8)] * 2)
    with pytest.raises(ModelError, match=r"found shape \(1,\), expected \(N, 3, H, 8\)"):
        sparsecc.inspect(path, shapes=[1])
    for shapes in (["1"], {"x": "1,3"}, {"x": (0, 3)}, {"x": (1.5, 3)}, {1: (1, 3)}):
        with pytest.raises(UserError, match="shapes: found"):
            sparsecc.inspect(path, shapes=shapes)
    with pytest.raises(UserError, match="'x' is no argument of the model's forward, expected of: input"):
        sparsecc.inspect(torch.nn.ReLU(), shapes={"x": (1, 3)})
    with pytest.raises(UserError, match="a model that is no ONNX file"):
        with_shapes(torch.nn.ReLU(), {"x": (1, 3)})
    rankless = save(tmp_path / "r.onnx", [node("Relu", "x")], inputs={"x": None})
    assert "has no shape, expected fixed sizes" in refused(rankless, ModelError)


def test_the_command_line_says_what_is_wrong_with_shapes(tmp_path: Path, capsys: Any) -> None:
    path = save(tmp_path / "m.onnx", [node("Relu", "x")], inputs={"x": ("N", 3)})
    for words, said in (
        (["--shape", "x=1,a"], "expected an input's name and whole numbers"),
        (["--shape", "1,3"], "expected an input's name and whole numbers"),
        (["--shape", "x=1,3", "--shape", "x=2,3"], "found 2 shapes, expected one: only compile"),
        (["--shape", "z=1,3"], "'z' is no input of"),
    ):
        assert said in fails(capsys, "inspect", path, *words)[1]


def test_a_wrong_translation_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Neg", "b")]
    path = save(tmp_path / "m.onnx", nodes, inputs={"x": SHAPE}, weights={"w": WEIGHT})
    monkeypatch.setitem(table.OPERATORS, "Relu", lambda node, x: torch.sigmoid(x))
    with pytest.raises(VerificationError, match=r"differs from ONNX Runtime .* translated wrongly is /Relu \(Relu\)"):
        sparsecc.compile(path, threads=1)


def test_without_onnx_runtime_the_reference_evaluator_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparsecc.importer.onnx.model import open_onnx

    norm = {name: np.full(4, 2, np.float32) for name in "abcd"}
    nodes = [node("Conv", "x w", "z"), node("BatchNormalization", "z a b c d")]
    path = save(tmp_path / "m.onnx", nodes, inputs={"x": SHAPE}, weights={"w": WEIGHT, **norm}, opset=9)
    model = open_onnx(path, {}, None)
    who, by_runtime = verify_onnx.onnx_results(model)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    other, by_evaluator = verify_onnx.onnx_results(model)
    assert (who, other) == ("ONNX Runtime", "ONNX's reference evaluator")
    np.testing.assert_allclose(by_runtime[0], by_evaluator[0], rtol=1e-5, atol=1e-5)


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = good(tmp_path)
    for name in [name for name in sys.modules if name.startswith("sparsecc.importer.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install '.[compiler,onnx]'" in refused(path, UserError)


def test_weights_of_bfloat16_are_known(tmp_path: Path) -> None:
    half = helper.make_tensor("h", onnx.TensorProto.BFLOAT16, [3], [1.0, 2.0, 3.0])
    path = save(tmp_path / "m.onnx", [node("Cast", "h", "w", to=FLOAT), node("Add", "x w")], inputs={"x": (3,)})
    model = onnx.load(path)
    model.graph.initializer.extend([half])
    onnx.save(model, path)
    assert import_model(path, None).onnx is not None


def test_what_an_operator_became_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SORTING, "topk.default")
    with pytest.raises(NotSupportedError, match=r"layer /TopK: operator aten.topk.default, which TopK of the ONNX"):
        import_model(_top_two(tmp_path), None)


def test_of_equal_ones_the_first_are_taken(tmp_path: Path) -> None:
    x = np.repeat(np.float32([[3, 1, 2, 0]]), 5, axis=1)
    made = sparsecc.compile(_top_two(tmp_path, x.shape), verify=False)
    found = made(x)
    assert found["y"].tolist() == [[3, 3]]
    assert found["p"].tolist() == [[0, 1]]


def _top_two(folder: Path, shape: tuple[int, ...] = SHAPE) -> Path:
    nodes = [node("TopK", "x k", "y places"), node("Cast", "places", "p", to=FLOAT)]
    return save(folder / "m.onnx", nodes, inputs={"x": shape}, outputs=("y", "p"), weights={"k": np.array([2])})
