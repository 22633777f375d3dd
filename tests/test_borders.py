"""Channels last and codes at a network's borders: in Python, in C, in what a library says of itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.ao.quantization.fx import _decomposed  # noqa: F401  # registers the operators

import sparsecc
from sparsecc.errors import InputError, LibraryError, NotSupportedError, UserError
from sparsecc.importer import import_model
from sparsecc.importer.borders import Borders
from sparsecc.options import Options
from sparsecc.runtime.checks import read_description
from sparsecc.runtime.description import read_text

EXAMPLES = Path(__file__).parent.parent / "examples"
CODES = torch.ops.quantized_decomposed
IMAGE = torch.randn(1, 3, 8, 9, generator=torch.Generator().manual_seed(0))
U8 = (0.05, 100, 0, 255, torch.uint8)
S8 = (0.25, -3, -128, 127, torch.int8)


class Quantized(nn.Module):
    """A convolution and a linear layer between codes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        steps = torch.randint(-127, 128, (8, 3, 3, 3)).to(torch.int8)
        self.register_buffer("codes", steps)
        self.register_buffer("scales", torch.full((8,), 0.004))
        self.register_buffer("zeros", torch.zeros(8, dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> Any:
        """Images of 8 channels, and their means in float32."""
        x = CODES.dequantize_per_tensor(CODES.quantize_per_tensor(x, *U8), *U8)
        weight = CODES.dequantize_per_channel(self.codes, self.scales, self.zeros, 0, -127, 127, torch.int8)
        y = torch.conv2d(x, weight, padding=1)
        y = CODES.dequantize_per_tensor(CODES.quantize_per_tensor(y, *S8), *S8)
        return {"image": y, "mean": y.mean((2, 3))}


class Last(nn.Module):
    """Two inputs, one of them no image; results of two, three and four axes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 5, 3, padding=1, stride=2)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> Any:
        """Labels, logits, means."""
        y = self.conv(x.float() / 255) * scale[0]
        return y.argmax(1), [y, y.mean((2, 3))]


def codes_of(x: np.ndarray[Any, Any], port: Any) -> np.ndarray[Any, Any]:
    """What a camera's driver would do."""
    bounds = np.iinfo(port.dtype)
    steps = np.rint(x * np.float32(1 / port.scale)) + port.zero_point
    return steps.clip(bounds.min, bounds.max).astype(port.dtype)


@pytest.fixture(scope="module")
def floats() -> dict[str, Any]:
    """What the quantized network computes with float32 borders."""
    found: dict[str, Any] = sparsecc.compile(Quantized().eval(), "x86-64-v3", example_inputs=(IMAGE,))(IMAGE.numpy())
    return found


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_codes_in_and_out(layout, floats, tmp_path):
    net = sparsecc.compile(
        Quantized().eval(), "x86-64-v3", example_inputs=(IMAGE,), ports="codes", layout=layout, verify=layout == "nhwc"
    )
    net.save(tmp_path / "model.so")
    library = sparsecc.load(tmp_path / "model.so")
    source, result = library.inputs[0], library.outputs[0]
    assert (source.dtype, source.scale, source.zero_point) == ("uint8", 0.05, 100)
    assert (result.dtype, result.scale, result.zero_point) == ("int8", 0.25, -3)
    assert any("output mean" in note and "stays float32" in note for note in net.report.notes)
    x = codes_of(IMAGE.numpy(), source)
    found = library(np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if layout == "nhwc" else x)
    image = found["image"].transpose(0, 3, 1, 2) if layout == "nhwc" else found["image"]
    assert np.array_equal((image.astype(np.float32) + 3) * np.float32(0.25), floats["image"])
    assert np.array_equal(found["mean"], floats["mean"])
    header = (tmp_path / "model.h").read_text()
    for line in ("MODEL_INPUT_0_SCALE 0.05f", "MODEL_INPUT_0_ZERO_POINT 100", "MODEL_OUTPUT_0_ZERO_POINT -3"):
        assert f"#define {line}" in header
    assert ("uint8[1, 8, 9, 3], NHWC, 216 bytes" in header) == (layout == "nhwc")


def test_channels_last():
    model, x = Last().eval(), torch.randint(0, 256, (2, 3, 12, 10), dtype=torch.uint8)
    scale = torch.tensor([2.0, 0, 1])
    net = sparsecc.compile(model, "x86-64-v3", example_inputs=(x, scale), layout="nhwc")
    assert [(p.shape, p.layout) for p in net.inputs] == [((2, 12, 10, 3), "nhwc"), ((3,), "")]
    assert [(p.shape, p.layout) for p in net.outputs] == [((2, 6, 5), ""), ((2, 6, 5, 5), "nhwc"), ((2, 5), "")]
    frames = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy())
    labels, (logits, means) = net(frames, scale.numpy())
    expected, (image, mean) = model(x, scale)
    assert np.array_equal(labels, expected)
    assert np.allclose(logits, image.detach().permute(0, 2, 3, 1), atol=1e-5)
    assert np.allclose(means, mean.detach(), atol=1e-5)
    # other views of the same frames: copied where their memory is strided
    assert np.array_equal(net(x.permute(0, 2, 3, 1).numpy(), scale.numpy())[0], expected)
    unaligned = np.empty(frames.nbytes + 1, np.uint8)[1:].reshape(frames.shape)
    unaligned[:] = frames
    assert np.array_equal(net(unaligned, scale.numpy())[0], expected)
    for wrong, message in (
        (frames.astype(np.float32), "found dtype float32, expected uint8"),
        (frames.view(np.int8), "found dtype int8, expected uint8"),
        (x.numpy(), r"found shape \(2, 3, 12, 10\), expected \(2, 12, 10, 3\)"),
        (frames[:1], r"found shape \(1, 12, 10, 3\), expected"),
    ):
        with pytest.raises(InputError, match=message):
            net(wrong, scale.numpy())


def refused(model: Callable[..., Any], *inputs: torch.Tensor, **borders: str) -> str:
    """What the error says."""

    class Module(nn.Module):
        def forward(self, *x: torch.Tensor) -> Any:
            return model(*x)

    with pytest.raises(UserError) as caught:
        import_model(Module().eval(), inputs, borders=Borders(**borders))
    return str(caught.value)


def test_forms_that_a_network_can_not_have():
    assert "no input and no output has four axes" in refused(lambda x: x * 2, torch.ones(2, 3), layout="nhwc")
    message = refused(lambda x: x * 2, torch.ones(2, 3), ports="codes")
    assert "stays float32: the model does not quantize it first" in message
    assert "sparsecc.quantize" in message


@pytest.mark.parametrize(("option", "value"), [("layout", "NHWC"), ("layout", None), ("ports", "uint8")])
def test_options(option, value):
    with pytest.raises(UserError, match=f"{option}: found {value!r}, expected"):
        Options(**{option: value})


def test_codes_of_another_kind():
    wide = (0.5, 0, -32768, 32767, torch.int16)

    class Wide(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return CODES.dequantize_per_tensor(CODES.quantize_per_tensor(x, *wide), *wide)

    with pytest.raises(NotSupportedError, match=r"torch\.int16, expected torch\.uint8 or torch\.int8"):
        import_model(Wide().eval(), (torch.ones(2, 3),), borders=Borders(ports="codes"))


def test_codes_with_a_scale_of_the_input():
    class Dynamic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return CODES.quantize_per_tensor.tensor(x, x.max(), torch.tensor(0), 0, 255, torch.uint8)

    with pytest.raises(NotSupportedError, match="found a scale that depends on the input, expected a constant"):
        import_model(Dynamic().eval(), (torch.ones(2, 3),), borders=Borders(ports="codes"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "chwn"}, "layout: found 'chwn', expected 'nhwc'"),
        ({"scale": 0.5}, "found it without zero_point"),
        ({"scale": -1.0, "zero_point": 0}, "scale: found -1.0, expected a finite number above 0"),
        ({"scale": 1.0, "zero_point": 300}, "zero_point"),
    ],
    ids=["layout", "half", "scale", "zero point"],
)
def test_damaged_descriptions(change, message, floats, tmp_path):
    import json

    port = {"name": "x", "shape": [1], "dtype": "uint8", **change}
    text = {
        "format": 2, "name": "m", "target": "t", "version": "1", "triple": "t", "cpu_features": [], "arena_bytes": 0,
        "weight_bytes": 0, "inputs": [port], "outputs": [], "structure": {"tuple": []}, "steps": [],
    }  # fmt: skip
    with pytest.raises(LibraryError, match="description is damaged") as caught:
        read_text(json.dumps(text).encode(), name="m.so")
    assert message in str(caught.value)


def test_the_camera_in_python_and_c(tmp_path):
    sys.path.insert(0, str(EXAMPLES))
    import camera

    path, video = tmp_path / "camera.so", tmp_path / "video.rgb"
    net = camera.compiled()
    net.save(path)
    frames = np.concatenate(list(camera.frames(None)))
    video.write_bytes(frames.tobytes())
    with torch.no_grad():
        expected = camera.Camera(camera.classifier()).eval()(torch.from_numpy(frames).permute(0, 3, 1, 2))
    pairs = enumerate(zip(*expected.values(), strict=True))
    lines = [f"frame {i}: {n} {camera.CLASSES[n]} {s:.4f}" for i, (n, s) in pairs]
    shown = subprocess.run(
        [sys.executable, EXAMPLES / "camera.py", path, video], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-Wall", "-Werror", str(EXAMPLES / "c" / "camera.c"), f"-I{tmp_path}"),
        *(str(path), f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "camera")),
    ]
    subprocess.run(command, check=True)
    with video.open("rb") as file:
        in_c = subprocess.run([tmp_path / "camera"], stdin=file, check=True, capture_output=True, text=True)
    assert shown == in_c.stdout.splitlines() == lines
    assert read_description(path)["inputs"][0]["layout"] == "nhwc"


@pytest.mark.slow
def test_a_folder_of_a_network_with_types(tmp_path):
    model, x = Last().eval(), torch.zeros(1, 3, 8, 9, dtype=torch.uint8)
    frame = (torch.arange(1 * 8 * 9 * 3) % 2).to(torch.uint8).view(1, 8, 9, 3)
    scale = torch.tensor([-1.0, 0, 1])  # what they fill the other input with
    sparsecc.compile(model, "x86-64-v3", example_inputs=(x, scale), layout="nhwc", verify=False).save(f"{tmp_path}/")
    with torch.no_grad():
        labels, (logits, means) = model(frame.permute(0, 3, 1, 2), scale)
    expected = [labels, logits.permute(0, 2, 3, 1).contiguous(), means]
    for language, compiler in (("c", "gcc"), ("cpp", "g++")):
        source, out = tmp_path / f"example.{language}", tmp_path / f"run_{language}"
        warnings = ("-Wall", "-Wextra", "-Werror")
        command = [compiler, "-static", *warnings, source, tmp_path / "model.a", "-lm", "-lpthread", "-o", out]
        subprocess.run(command, check=True)
        _check_lines(subprocess.run([out], check=True, capture_output=True, text=True).stdout, expected)
    code = "import model_numpy as m, numpy as n; net = m.Model(); print(net.input_dtypes, net.output_dtypes); m._main()"
    code += "\ntry: net(n.zeros((1, 8, 9, 3), 'float32'), n.zeros(3, 'float32'))\nexcept TypeError as e: print(e)"
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout.splitlines()
    assert said[0] == "['uint8', 'float32'] ['int64', 'float32', 'float32']"
    assert said[-1] == "input 0: found float32 of shape (1, 8, 9, 3), expected uint8 of shape (1, 8, 9, 3)"
    bench = subprocess.run([tmp_path / "model_bench", "--runs", "2"], check=True, capture_output=True, text=True)
    assert "conv" in bench.stdout
    assert "channels last (NHWC)" in (tmp_path / "README.md").read_text()


def _check_lines(text: str, expected: list[torch.Tensor]) -> None:
    for line, result in zip(text.splitlines(), expected, strict=True):
        numbers = [float(word) for word in line.split(":", 1)[1].split()]
        assert np.allclose(numbers, result.reshape(-1)[:8].double(), atol=1e-4)


def test_an_onnx_file_with_bytes_labels_and_masks(tmp_path):
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    node, types = onnx.helper.make_node, onnx.TensorProto
    nodes = [
        node("Cast", ["frames"], ["floats"], to=types.FLOAT),
        node("Transpose", ["floats"], ["image"], perm=[0, 3, 1, 2]),
        node("Conv", ["image", "weight"], ["y"], pads=[1, 1, 1, 1]),
        node("ArgMax", ["y"], ["labels"], axis=1, keepdims=0),
        node("Greater", ["y", "zero"], ["mask"]),
        node("Cast", ["mask"], ["bytes"], to=types.UINT8),
        node("And", ["mask", "wanted"], ["both"]),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "net", [value("frames", types.UINT8, (1, 6, 7, 3)), value("wanted", types.BOOL, (1, 4, 6, 7))],
        [value("labels", types.INT64, None), value("bytes", types.UINT8, None), value("both", types.BOOL, None)],
        [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(np.float32(0), "zero")],
    )  # fmt: skip
    path = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    net = sparsecc.compile(path, "x86-64-v3")
    assert [port.dtype for port in net.inputs] == ["uint8", "bool"]
    frames = np.random.default_rng(1).integers(0, 256, (1, 6, 7, 3), np.uint8)
    wanted = np.random.default_rng(2).random((1, 4, 6, 7)) > 0.5
    found = net(frames, wanted)
    y = torch.conv2d(torch.from_numpy(frames).permute(0, 3, 1, 2).float(), torch.from_numpy(weight), padding=1).numpy()
    assert np.array_equal(found["labels"], y.argmax(1))
    assert np.array_equal(found["bytes"], (y > 0).astype(np.uint8))
    assert np.array_equal(found["both"], (y > 0) & wanted)
    with pytest.raises(InputError, match=r"input 1 .wanted.: found dtype uint8, expected bool"):
        net(frames, wanted.astype(np.uint8))
