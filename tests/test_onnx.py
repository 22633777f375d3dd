"""Networks from ONNX files: what the importer makes of them, and that all commands take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_case import FLOAT, save

import sparsecc
from sparsecc.importer import import_model, with_shapes
from sparsecc.ir.layer import convolutions
from sparsecc.verify.reference import reference

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((1, 3, 8, 8)).astype(np.float32)
WEIGHT = RANDOM.standard_normal((16, 3, 3, 3)).astype(np.float32)
NORM = {name: RANDOM.uniform(0.5, 1, 16).astype(np.float32) for name in ("scale", "shift", "mean", "variance")}


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """Names of values are words."""
    name = attributes.pop("name", f"/{outputs.split()[0]}")
    words = ["" if word == "-" else word for word in inputs.split()]
    return helper.make_node(op, words, outputs.split(), name=name, **attributes)


def computed(path: Path, *inputs: Any, **shapes: Any) -> Any:
    """What PyTorch says of the imported network."""
    imported = import_model(with_shapes(path, shapes or None), inputs)
    results = reference(imported)
    return results[0] if len(results) == 1 else results


def by_onnx(path: Path, *inputs: Any) -> list[Any]:
    model = onnx.load(path)
    names = [value.name for value in model.graph.input if value.name not in {w.name for w in model.graph.initializer}]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def network(path: Path, *, opset: int = 13, shape: tuple[int | str, ...] = (1, 3, 8, 8)) -> Path:
    """Convolution, batch norm, activation, mean, and a linear layer after shape arithmetic."""
    axes = {"axes": [0]} if opset < 13 else {}
    return save(
        path,
        [
            node("Conv", "x weight", "a", name="/stem/conv", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "a scale shift mean variance", "b", name="/stem/norm"),
            node("Relu", "b", "c", name="/stem/relu"),
            node("GlobalAveragePool", "c", "d", name="/pool"),
            node("Shape", "d", "s", name="/shape"),
            node("Gather", "s zero", "n", name="/batch", axis=0),
            node("Unsqueeze", "n" if axes else "n axes", "rows", name="/rows", **axes),
            node("Concat", "rows rest", "sizes", name="/sizes", axis=0),
            node("Reshape", "d sizes", "e", name="/reshape"),
            node("Gemm", "e matrix bias", "y", name="/head/fc", transB=1),
        ],
        inputs={"x": shape},
        weights={
            "weight": WEIGHT, **NORM, "zero": np.int64(0), "rest": np.array([-1]), "bias": np.ones(5, np.float32),
            "matrix": np.linspace(-1, 1, 80, dtype=np.float32).reshape(5, 16),
            **({} if axes else {"axes": np.array([0])}),
        },
        opset=opset,
    )  # fmt: skip


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, onnx.defs.onnx_opset_version()])
def test_every_opset_is_read(opset: int, tmp_path: Path) -> None:
    path = network(tmp_path / "m.onnx", opset=opset)
    is_known = opset < onnx.defs.onnx_opset_version()  # to ONNX Runtime
    expected = by_onnx(path, X)[0] if is_known else ReferenceEvaluator(onnx.load(path)).run(None, {"x": X})[0]
    np.testing.assert_allclose(computed(path, X), expected, rtol=1e-5, atol=1e-5)


def test_layers_have_the_names_of_nodes_and_take_the_batch_norm(tmp_path: Path) -> None:
    imported = import_model(network(tmp_path / "m.onnx"), (X,))
    assert [layer.name for layer in convolutions(imported.layers.values())] == ["/stem/conv", "/head/fc"]
    first = next(iter(convolutions(imported.layers.values())))
    scale = NORM["scale"] / np.sqrt(NORM["variance"] + 1e-5)
    np.testing.assert_allclose(first.weight.reshape(WEIGHT.shape), WEIGHT * scale[:, None, None, None], rtol=1e-5)
    assert [port.name for port in (*imported.inputs, *imported.outputs)] == ["x", "y"]


def test_a_file_is_compiled_and_held_against_onnx_runtime(tmp_path: Path) -> None:
    """Also pruned, with a batch that the file leaves open, and several outputs by their names."""
    weight = WEIGHT * (np.arange(3, dtype=np.float32) % 2)[None, :, None, None]
    nodes = [node("Conv", "x w", "c"), node("Sigmoid", "c", "sig"), node("Mul", "c sig", "box.es")]
    path = save(
        tmp_path / "m.onnx", nodes, inputs={"x": ("N", 3, 8, 8)}, outputs=("box.es", "sig"), weights={"w": weight}
    )
    library = sparsecc.compile(str(path), shapes={"x": (2, 3, 8, 8)}, threads=1)
    assert "largest difference from ONNX Runtime: " in str(library.report)
    assert library.report.to_json()["reference"] == "ONNX Runtime"
    assert library.plan.layers[0].structure is not None
    x = np.concatenate([X, -X])
    found = library(x)
    assert list(found) == ["box.es", "sig"]
    assert [port.name for port in library.outputs] == ["box_es", "sig"]
    for one, other in zip(found.values(), by_onnx(path, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_all_commands_take_a_file(tmp_path: Path) -> None:
    path = network(tmp_path / "m.onnx", shape=("N", 3, 8, 8))
    shapes = {"x": (1, 3, 8, 8)}
    plan = sparsecc.inspect(path, "x86-64-v3", shapes=shapes)
    assert [layer.name for layer in plan.layers] == ["/stem/conv", "/head/fc"]
    advice = sparsecc.advise(path, "x86-64-v3", (4,), shapes=shapes, sparsities=(0.0, 0.5))
    assert advice.nets[0].us[0] > 0


def test_weights_are_inputs_constants_or_lie_beside_the_file(tmp_path: Path) -> None:
    weight = RANDOM.standard_normal((4, 3, 1, 1)).astype(np.float32)
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weight))
    one = helper.make_node("Constant", [], ["one"], value_floats=[1.0])
    conv = [node("Conv", "x w", "a", name="c"), node("Add", "a one", "y")]
    plain = save(tmp_path / "a.onnx", [one, *conv], inputs={"x": X.shape}, weights={"w": weight})
    expected = by_onnx(plain, X)[0]
    model = onnx.load(plain)
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, weight.shape))
    onnx.save(model, tmp_path / "b.onnx")
    onnx.save(onnx.load(plain), tmp_path / "c.onnx", save_as_external_data=True, location="c.bin", size_threshold=0)
    save(tmp_path / "d.onnx", [constant, one, *conv], inputs={"x": X.shape})
    for name in "abcd":
        np.testing.assert_allclose(computed(tmp_path / f"{name}.onnx", X), expected, rtol=1e-5, atol=1e-5)


def test_weights_are_in_memory_once(tmp_path: Path) -> None:
    """A mapped file is what layers read: nothing copied it."""
    from sparsecc.importer.onnx.model import open_onnx

    path = save(tmp_path / "a.onnx", [node("Conv", "x w")], inputs={"x": X.shape}, weights={"w": WEIGHT})
    onnx.save(onnx.load(path), tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    model = open_onnx(tmp_path / "m.onnx", {}, None)
    [weight] = model.program.state_dict.values() or model.program.constants.values()
    assert weight.data_ptr() == model.folded.constants["w"].data_ptr()
    place = f"{weight.data_ptr() >> 12 << 12:x}-"
    assert next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.startswith(place)).endswith(
        str(tmp_path / "m.bin")
    )


def test_one_branch_is_left_of_an_if(tmp_path: Path) -> None:
    def branch(name: str, op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [out])

    choice = helper.make_node("If", ["is"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg"))
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Equal", "n one", "is"), choice]
    path = save(tmp_path / "m.onnx", nodes, inputs={"x": ("N", 4)}, weights={"zero": np.int64(0), "one": np.int64(1)})
    for count, expected in ((1, np.maximum), (2, lambda x, _: -x)):
        x = RANDOM.standard_normal((count, 4)).astype(np.float32)
        np.testing.assert_array_equal(computed(path, x), expected(x, 0))


def test_functions_are_put_in_place_under_the_name_of_their_call(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Neg", ["t"], ["b"])]
    function = helper.make_function("mine", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    call = helper.make_node("Twice", ["x"], ["y"], name="/call", domain="mine")
    path = save(tmp_path / "m.onnx", [call], inputs={"x": (2, 3)}, functions=[function], domains=["mine"])
    x = RANDOM.standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_array_equal(computed(path, x), -np.maximum(x, 0))
    from sparsecc.importer.onnx.read import read

    assert [made.name for made in read(path).graph.node] == ["/call", "/call"]


def test_quantized_weights_are_constants_like_others(tmp_path: Path) -> None:
    """Of a graph whose weights alone are 8 bits wide."""
    whole = RANDOM.integers(-100, 100, (4, 3, 1, 1)).astype(np.int8)
    nodes = [node("DequantizeLinear", "q scale", "w"), node("Conv", "x w")]
    path = save(tmp_path / "m.onnx", nodes, inputs={"x": X.shape}, weights={"q": whole, "scale": np.float32(0.1)})
    expected = torch.nn.functional.conv2d(torch.from_numpy(X), torch.from_numpy(whole * np.float32(0.1)))
    np.testing.assert_allclose(computed(path, X), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_the_file_is_known_by_its_beginning(tmp_path: Path) -> None:
    path = network(tmp_path / "m.onnx").rename(tmp_path / "m.model")
    np.testing.assert_allclose(computed(path, X), by_onnx(path, X)[0], rtol=1e-5, atol=1e-5)
