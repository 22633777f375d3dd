"""Damaged .pt2 files: imported."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from fuzz.damage import damaged, damaged_json
from fuzz.outcome import Outcome
from sparsecc.importer import import_model


def package_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """Bytes of the file; members that are missing, twice there, cut or edited, with right checksums."""
    torch.set_num_threads(1)
    data = (samples / "model.pt2").read_bytes()
    program = import_model(samples / "model.pt2").program
    weights, code = dict(program.state_dict), program.graph_module.code

    def case(random: Random) -> Outcome:
        path = folder / "damaged.pt2"
        edited = random.random() < 0.4
        path.write_bytes(_edited(data, random) if edited else damaged(data, random))
        found = import_model(path).program
        same = found.graph_module.code == code and _equal(dict(found.state_dict), weights)
        # an edited file with right checksums is another network, not a damaged one
        return Outcome("right") if same or edited else Outcome("wrong", "another network")

    return case


def _equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _edited(data: bytes, random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random.randrange(len(members))
    name, content = members[at]
    change = random.choice(["remove", "twice", "content", "content", "content", "rename", "empty"])
    if change == "remove":
        del members[at]
    elif change == "twice":
        members.append((name, b"" if random.random() < 0.5 else content))
    elif change == "content":
        members[at] = (name, _changed(name, content, random))
    elif change == "rename":
        members[at] = (random.choice([name + "x", "../" + name, "/" + name, name.upper(), "x"]), content)
    else:
        members[at] = (name, b"")
    return _packed(members)


def _changed(name: str, content: bytes, random: Random) -> bytes:
    if name.endswith(".json") and random.random() < 0.8:
        return damaged_json(json.loads(content), random).encode("utf-8", "surrogatepass")
    return damaged(content, random) if content else random.randbytes(10)


def _packed(members: list[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()
