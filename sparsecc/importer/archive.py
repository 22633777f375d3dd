"""A .pt2 file reduced to what PyTorch can read without running any of it.

``torch.export.load`` unpickles: sample inputs, weights and constants that a table marks so, objects, the archives of
older versions; it loads compiled programs, evaluates shapes as Python, generates code with the names that a graph has,
and looks operators up by any path. So PyTorch never sees the file itself, but a copy of it in memory with the members
that are needed, each read whole (zip's checksum is compared) and checked:

    models/model.json                           checked by ``archive_program.py``
    data/weights/model_weights_config.json      plain tensors only, and the members that they are in
    data/constants/model_constants_config.json  the same
    data/sample_inputs/model.pt                 empty: nobody needs them
    data/weights/model.pt, serialized_*.pt      of older versions: only if ``weights_only=True`` reads them
    anything else                               left out
"""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sparsecc.errors import ModelError, NotSupportedError, first_line
from sparsecc.importer.archive_program import checked_program, checked_tensor
from sparsecc.text import printable
from sparsecc.untrusted import (
    MalformedError,
    available_bytes,
    check_members,
    open_file,
    other_model,
    pairs,
    parse_json,
    shown,
)
from sparsecc.untrusted import text as member_text

#: what PyTorch calls the only program of a file that torch.export.save wrote
_MODEL = "models/model.json"
_FORMAT, _VERSION, _BYTE_ORDER = "archive_format", "archive_version", "byteorder"
_SAMPLES = "data/sample_inputs/model.pt"
#: folders of tensors, the beginning of their members' names, their tables, and the pickle of older versions
_TENSORS = (
    ("data/weights/", "weight_", "model_weights_config.json"),
    ("data/constants/", "tensor_", "model_constants_config.json"),
)
_PICKLED = "model.pt"
#: the archive of PyTorch 2.7 and before
_OLD_PROGRAM, _OLD_SAMPLES = "serialized_exported_program.json", "serialized_example_inputs.pt"
_OLD_PICKLES = ("serialized_state_dict.pt", "serialized_constants.pt")
_ENCRYPTED = 1
_DAMAGED = (zipfile.BadZipFile, struct.error)
#: of a program without its tensors
MOST_JSON = 1 << 28


def safe_copy(path: Path) -> BinaryIO:
    """What ``torch.export.load`` may be given in the place of a file.

    Raises
    ------
    ModelError
        No ordinary file, no .pt2, or a damaged one; the message says what was found.
    NotSupportedError
        It needs to be executed to be read: pickled objects, tensors of classes of their own, compiled code.
    """
    try:
        found = other_model(path)
        if found:
            raise ModelError(f"{path}: {found}")
        with open_file(path, most_bytes=available_bytes()) as file, zipfile.ZipFile(file) as archive:
            return _copied(_Members(archive, most_bytes=path.stat().st_size), where=str(path))
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}; expected a .pt2 file") from error
    # what zipfile has for files that are damaged in some way, a checksum that differs among them, and what we have
    except (*_DAMAGED, EOFError, MemoryError, RuntimeError, ValueError, LookupError, OverflowError) as error:
        raise ModelError(
            f"{path}: not a .pt2 file that this PyTorch ({torch.__version__}) can read: damaged, or of another kind "
            f"({error}); copy it again, or write it with torch.export.save(torch.export.export(model, inputs), path)"
        ) from error


class _Members:
    """The members of an archive by their names, without the folder that all of them are in."""

    def __init__(self, archive: zipfile.ZipFile, *, most_bytes: int) -> None:
        self._archive = archive
        infos = archive.infolist()
        names = [info.filename for info in infos]
        root = names[0].partition("/")[0] + "/" if names and f"{names[0].partition('/')[0]}/{_FORMAT}" in names else ""
        self._infos = {name.removeprefix(root): info for name, info in zip(names, infos, strict=True)}
        if len(self._infos) != len(infos):
            raise MalformedError("two members have one name")
        for info in infos:
            if ".." in info.filename.split("/") or info.filename.startswith("/"):
                raise MalformedError(f"a member is called {shown(info.filename)}")
            if info.flag_bits & _ENCRYPTED:
                raise MalformedError(f"{shown(info.filename)} is encrypted")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise MalformedError(f"{shown(info.filename)} is compressed, which torch.export.save does not do")
        if sum(info.file_size for info in infos) > most_bytes:
            raise MalformedError("its members are said to be larger than the file")

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def size(self, name: str) -> int:
        """Bytes of a member."""
        return self._info(name).file_size

    def open(self, name: str) -> Any:
        """A member to read from; at its end its checksum is compared."""
        return self._archive.open(self._info(name))

    def read(self, name: str) -> bytes:
        """A whole member."""
        with self.open(name) as file:
            data: bytes = file.read()
        return data

    def json(self, name: str) -> Any:
        """A member's data."""
        if self.size(name) > MOST_JSON:
            raise MalformedError(f"{name} has {self.size(name)} bytes, expected at most {MOST_JSON}")
        try:
            return parse_json(self.read(name))
        except MalformedError as error:
            raise MalformedError(f"{name}: {error}") from error

    def _info(self, name: str) -> zipfile.ZipInfo:
        if name not in self._infos:
            raise MalformedError(f"{name} is missing")
        return self._infos[name]


def _copied(members: _Members, *, where: str) -> BinaryIO:
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as out:
        for name, content in _new(members, where=where) if _FORMAT in members else _old(members, where=where):
            if content is None:
                with members.open(name) as source, out.open(f"model/{name}", "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 22)
            else:
                out.writestr(f"model/{name}" if _FORMAT in members else name, content)
    copy.seek(0)
    return copy


def _new(members: _Members, *, where: str) -> Iterator[tuple[str, bytes | None]]:
    """Members of the copy: None for those that are taken as they are."""
    for name in (_FORMAT, _VERSION):
        yield name, members.read(name)
    if _BYTE_ORDER in members and members.read(_BYTE_ORDER) != b"little":
        raise MalformedError(f"{_BYTE_ORDER}: found {shown(members.read(_BYTE_ORDER))}, expected little")
    yield ".data/version", b"6\n"
    yield _BYTE_ORDER, b"little"
    yield _MODEL, _text(checked_program(members.json(_MODEL), where=where))
    yield _SAMPLES, b""
    for folder, start, table in _TENSORS:
        if folder + _PICKLED in members:
            yield folder + _PICKLED, _plain_pickle(members, folder + _PICKLED, where=where)
            continue
        config = _checked_table(members, folder + table, folder=folder, start=start, where=where)
        yield folder + table, _text(config)
        for name in dict.fromkeys(str(entry["path_name"]) for entry in config["config"].values()):
            yield folder + name, None


def _old(members: _Members, *, where: str) -> Iterator[tuple[str, bytes]]:
    if _OLD_PROGRAM not in members or "version" not in members:
        raise MalformedError(f"found neither {_FORMAT} nor {_OLD_PROGRAM} in it")
    yield "version", members.read("version")
    yield _OLD_PROGRAM, _text(checked_program(members.json(_OLD_PROGRAM), where=where))
    yield _OLD_SAMPLES, b""
    for name in _OLD_PICKLES:
        yield name, _plain_pickle(members, name, where=where)


def _checked_table(members: _Members, name: str, *, folder: str, start: str, where: str) -> dict[str, Any]:
    """The table of the tensors in a folder: each in a member of its own kind, as plain bytes."""
    table = check_members(members.json(name), needed=("config",))
    needed_bytes = 0
    for tensor, entry in pairs(table, "config").items():
        try:
            place = member_text(check_members(entry, needed=("path_name", "tensor_meta")), "path_name")
            if entry.get("use_pickle") or not place.startswith(start):
                raise NotSupportedError(
                    f"{where}: {shown(tensor)} is stored as a pickled object ({shown(place)}), which is code; "
                    "expected a plain tensor: export a model whose weights are such"
                )
            if not re.fullmatch(rf"{start}\d+", place):
                raise MalformedError(f"path_name: found {shown(place)}, expected {start}N")
            members.size(folder + place)
            needed_bytes += checked_tensor(pairs(entry, "tensor_meta"), where=where)
        except MalformedError as error:
            raise MalformedError(f"{name}: {shown(tensor)}: {error}") from error
    if needed_bytes > available_bytes():
        raise MalformedError(f"{name}: tensors of {needed_bytes} bytes, more than this machine has memory")
    return {"config": table["config"]}


def _plain_pickle(members: _Members, name: str, *, where: str) -> bytes:
    """A pickle that PyTorch reads without running anything of it: then it tries no other way."""
    data = members.read(name)
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception as error:
        raise NotSupportedError(
            f"{where}: {name} holds other things than tensors, and to read them is to run code ({_reason(error)}); "
            "export the model again"
        ) from error
    return data


def _reason(error: Exception) -> str:
    """What PyTorch found in a pickle, among its advice to read it all the same."""
    found = re.search(r"Unpickler error: (.+)", str(error))
    return first_line(error) if found is None else printable(found[1])


def _text(data: Any) -> bytes:
    return json.dumps(data).encode()
