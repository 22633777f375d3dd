"""Files that people have in the place of a .pt2: what they are, and the lines that make one of them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

import sparsecc
from sparsecc.errors import ModelError
from sparsecc.untrusted import other_model


def _conv():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def _saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def _scripted():
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(_conv()), file)
    return file.getvalue()


def _safetensors():
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


STATE = "model.load_state_dict(torch.load("
FILES = {
    "state dict": ("m.pt", lambda: _saved(_conv().state_dict()), ("has weights and no network", STATE)),
    "checkpoint": (
        "m.pth", lambda: _saved({"model": _conv().state_dict(), "epoch": 3}), ("has weights and no network", STATE),
    ),
    "whole module": ("m.pt", lambda: _saved(_conv()), ("has a whole module", "weights_only=False", "if you trust")),
    "before 1.6": (
        "m.pt", lambda: _saved(_conv().state_dict(), _use_new_zipfile_serialization=False), ("written by torch.save",),
    ),
    "TorchScript": ("m.pt", _scripted, ("is a TorchScript program", "the module that it was made from")),
    "safetensors": ("m.safetensors", _safetensors, ("has weights and no network (safetensors)", "load_file(")),
    "library": ("m.so", lambda: b"\x7fELF" + bytes(60), ("is a library or a program", "sparsecc inspect")),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_other_kinds_of_files_are_named_with_what_to_do(kind, tmp_path):
    name, content, parts = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content())
    with pytest.raises(ModelError) as caught:
        sparsecc.compile(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(part in message for part in (*parts, "expected a .pt2")), message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["m.pt", "m.pt2"])
def test_a_pt2_is_no_other_kind_whatever_its_name(name, tmp_path):
    path = tmp_path / name
    with open(path, "wb") as file:
        torch.export.save(torch.export.export(_conv(), (torch.zeros(1, 3, 8, 8),)), file)
    assert other_model(path) is None


def test_damaged_archives_are_left_to_who_reads_them(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(_saved(_conv().state_dict())[:300])
    assert other_model(path) is None


def test_a_class_in_a_pickle_is_named_and_not_loaded(tmp_path):
    class Module:
        def __reduce__(self):
            return open, (str(tmp_path / "marker"), "w")

    for protocol in (2, 4):
        path = tmp_path / f"{protocol}.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", pickle.dumps(Module(), protocol))
        assert "has a whole module" in (other_model(path) or "")
    assert not (tmp_path / "marker").exists()


def test_the_package_lists_its_names():
    assert dir(sparsecc) == sorted({name for name in vars(sparsecc) if name.startswith("__")} | set(sparsecc.__all__))
    assert {"compile", "load", "advise", "prune"} <= set(dir(sparsecc))
