"""Settings of all tests."""

from __future__ import annotations

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded_and_calm() -> None:
    """Modules made in a test get the same weights every time; PyTorch's own threads would only be in the way."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
