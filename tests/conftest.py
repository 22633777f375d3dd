"""Settings of all tests, and fixtures that several files of them share."""

from __future__ import annotations

import hypothesis
import kernels_c
import pytest
import torch
from cli_case import Made, make_files

from sparsecc.runtime import Library, load

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded_and_calm() -> None:
    """Modules made in a test get the same weights every time; PyTorch's own threads would only be in the way."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A network and its library for the tests of the command line, compiled once."""
    return make_files(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def library() -> Library:
    """The library of the hand-written kernels, with threads and buffers of its own."""
    return load(kernels_c.tiny_library())
