"""Files of exported programs that somebody else made: nothing in them runs, and damage is found."""

from __future__ import annotations

import importlib
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pt2_case
import pytest
import torch
from pt2_case import ATTACKS, X, attacked, members, old_members, write

from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer import archive
from sparsecc.importer.export import to_exported


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Attacks that work on PyTorch alone: it reads every file as it is, and runs the graph as the importer does."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.syspath_prepend(folder)
        for name in ATTACKS:
            modules(folder, folder / f"{name} made")
            with suppress(Exception):
                torch.export.load(attacked(name, folder, folder / f"{name} made")).run_decompositions({})
    return {name for name in ATTACKS if (folder / f"{name} made").exists()}


def modules(folder: Path, marker: Path) -> None:
    """Something to import; not twice the same, for an import that fails is tried again."""
    (folder / f"{pt2_case.MODULE}.py").write_text(f"open({str(marker)!r}, 'w')\nraise ImportError\n")
    importlib.invalidate_caches()


def test_the_attacks_are_real(markers: set[str]) -> None:
    """Else the next test would say nothing."""
    assert markers == {name for name, attack in ATTACKS.items() if attack.works}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_in_a_file_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "made"
    path = attacked(name, tmp_path, marker)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    modules(tmp_path, marker)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PyTorch warns where it unpickles all the same
        if ATTACKS[name].message:
            with pytest.raises((ModelError, NotSupportedError), match=f"{name}.pt2: .*{ATTACKS[name].message}"):
                to_exported(path, None)
        else:
            program = to_exported(path, None)[0]
            assert program.example_inputs is None
    assert not marker.exists()


@pytest.mark.parametrize("old", [False, True])
def test_the_copy_is_the_same_program(old: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "m.pt2", old_members() if old else members(), root="" if old else "net/")
    found, expected = to_exported(path, (X,))[0], pt2_case.exported().run_decompositions({})
    assert [str(n.target) for n in found.graph.nodes] == [str(n.target) for n in expected.graph.nodes]
    assert list(found.state_dict) == list(expected.state_dict)
    torch.testing.assert_close(found.module()(X), expected.module()(X), rtol=0, atol=0)


def test_old_folders_of_plain_tensors(tmp_path: Path) -> None:
    """Pickles that ``weights_only=True`` reads, in the places of PyTorch 2.8."""
    content = members()
    for folder, data in (("weights", old_members()["serialized_state_dict.pt"]),
                         ("constants", old_members()["serialized_constants.pt"])):  # fmt: skip
        del content[f"data/{folder}/model_{folder}_config.json"]
        content[f"data/{folder}/model.pt"] = data
    found = to_exported(write(tmp_path / "m.pt2", content), (X,))[0]
    torch.testing.assert_close(found.module()(X), pt2_case.exported().module()(X), rtol=0, atol=0)


def test_no_flipped_bit_gives_another_program(tmp_path: Path) -> None:
    """Every member has a checksum; what is outside of them is refused or means nothing."""
    data = pt2_case.good()
    expected = to_exported(write(tmp_path / "good.pt2", members()), (X,))[0]
    path = tmp_path / "m.pt2"
    refused = 0
    for i, at in enumerate(np.random.default_rng(0).integers(0, len(data), 250)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << i % 8]) + data[at + 1 :])
        try:
            copy = archive.safe_copy(path)
        except (ModelError, NotSupportedError):
            refused += 1
            continue
        with zipfile.ZipFile(copy) as found:
            for name in found.namelist():
                if name.startswith(("model/data/weights/weight", "model/data/constants/tensor")):
                    assert found.read(name) == members()[name.partition("/")[2]]
        if i % 25 == 0:
            again = to_exported(path, (X,))[0]
            assert all(torch.equal(again.state_dict[n], v) for n, v in expected.state_dict.items())
    assert refused > 60
    for cut in (1, 22, 100, len(data) // 2):
        path.write_bytes(data[:-cut])
        with pytest.raises(ModelError, match=r"m\.pt2: not a \.pt2 file"):
            to_exported(path, None)
