"""The page about services is true: its programs run, and its service stays right while it is loaded anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from service_case import served, under_load
from test_docs import blocks

from sparsecc.errors import LibraryError

PAGE = Path(__file__).parent.parent / "docs" / "services.md"


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


def test_its_pool_is_the_examples() -> None:
    pool = (PAGE.parent.parent / "examples" / "services" / "pool.py").read_text()
    (shown, *_) = blocks(PAGE, "python")
    assert pool.endswith(shown)


@pytest.mark.parametrize("batch", [1, 4])
def test_its_pool_under_load(page: dict[str, Any], tmp_path: Path, batch: int) -> None:
    """Requests of one to eight images from four threads, while the file is replaced and loaded: old results or new."""
    net = served(tmp_path / "model.so", batch=batch)
    pool = page["Pool"](net.path, workers=2)
    under_load(net, pool, pool.load)
    net.path.write_bytes(b"half written")
    with pytest.raises(LibraryError):
        pool.load()
    assert net.which(pool(net.images), len(net.images)) == 1
