"""The page about services is true: its programs run, and its service stays right while it is loaded anew."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_docs import blocks
from torch import nn

import sparsecc

PAGE = Path(__file__).parent.parent / "docs" / "services.md"
REQUESTS = 200


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's blocks define, run one after another."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSECC_CACHE", str(tmp_path_factory.mktemp("cache")))
        torch._dynamo.reset()
        exec("\n".join(blocks(PAGE, "python")), names)
    return names


def test_its_networks_are_the_models(page: dict[str, Any]) -> None:
    with torch.no_grad():
        expected = page["model"](page["x"])
        torch.testing.assert_close(page["y"], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(page["program"].module()(page["x"]), expected.softmax(1), rtol=1e-4, atol=1e-5)


def test_its_service_under_load(page: dict[str, Any], tmp_path: Path) -> None:
    """Requests of one to eight images from four threads, while the file is replaced and loaded: old results or new."""
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh()).eval()
    libraries = []
    for _ in range(2):
        libraries.append(sparsecc.compile(copy.deepcopy(model), example_inputs=(torch.zeros(1, 8),), threads=1))
        model[0].weight.data *= -2
    path = tmp_path / "model.so"
    libraries[0].save(path)
    service = page["Service"](path, workers=2)
    images = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    wanted = [np.concatenate([library(image[None]) for image in images]) for library in libraries]

    def request(number: int) -> int:
        count = 1 + number % len(images)
        if number == REQUESTS // 2:
            libraries[1].save(path)
            service.load(path)
        found = service(images[:count])
        return next(i for i, results in enumerate(wanted) if np.array_equal(found, results[:count]))

    with ThreadPoolExecutor(4) as threads:
        which = list(threads.map(request, range(REQUESTS)))
    assert which[0] == 0
    assert request(REQUESTS) == 1  # other threads may have done all the rest before the file was loaded
