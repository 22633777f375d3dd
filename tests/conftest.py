"""Settings of all tests, and fixtures that several files of them share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import advise_case
import hypothesis
import kernels_c
import pytest
import torch
from cli_case import Made, make_files
from tuning_case import example, tiny_net

import sparsecc
from sparsecc.advice.result import Advice
from sparsecc.runtime import Library, load

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded_and_calm() -> None:
    """Modules made in a test get the same weights every time; PyTorch's own threads would only be in the way."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def advice() -> Advice:
    """For the network of the advisor's tests, computed once."""
    torch.manual_seed(0)
    return sparsecc.advise(advise_case.Net().eval(), "x86-64-v3", (4, 16), example_inputs=(advise_case.X,))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A network and its library for the tests of the command line, compiled once."""
    return make_files(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def library() -> Library:
    """The library of the hand-written kernels, with threads and buffers of its own."""
    return load(kernels_c.tiny_library())


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Target -> the folder of the tiny network for it, made once; not to be written to."""
    exported = functools.cache(lambda: torch.export.export(tiny_net(), example()))

    @functools.cache
    def made(target: str) -> Path:
        path = tmp_path_factory.mktemp(target) / "out"
        sparsecc.compile(exported(), target, example_inputs=example(), threads=1).save(f"{path}/")
        return path

    return made
