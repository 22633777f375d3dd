"""Model files of other kinds than .pt2 and ONNX, known by how they begin; nothing of them is executed."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

from sparsecc.untrusted.files import open_file

#: bytes that are looked at of a file, and of the pickle in it
_BEGINNING, _MOST_PICKLE = 64, 1 << 24
#: what torch.export.save and torch.jit.save write beside what torch.save writes
_EXPORTED, _SCRIPTED = ("archive_format", "serialized_exported_program.json"), ("constants.pkl", "code")
#: classes that a state dict or a checkpoint is made of; another one is a module's, or something that it needs
_PLAIN = ("torch", "torch._utils", "torch.storage", "collections", "numpy", "numpy.core.multiarray", "builtins")
#: tags of protobuf: an ONNX file's first field, which versions it may have, and the fields that may follow it
_IR_VERSION, _IR_VERSIONS, _NEXT = 0x08, range(3, 64), (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
_EXPORT = "torch.export.save(torch.export.export(model.eval(), (x,)), {path!r})"


def other_model(path: Path) -> str | None:
    """What a file is that somebody took for a .pt2 or ONNX, and the lines that make a .pt2 of it; None if not known.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str or None
        The end of a sentence that begins with the file's name.

    Raises
    ------
    OSError
        It can't be read.
    """
    with open_file(path, most_bytes=1 << 62) as file:
        start = file.read(_BEGINNING)
        if start.startswith(b"PK"):
            return _zipped(path, file)
    if start.startswith(b"\x7fELF"):
        return "is a library or a program, expected a .pt2 or ONNX; `sparsecc inspect` describes a library of ours"
    if start[8:10] == b'{"' and int.from_bytes(start[:8], "little") < path.stat().st_size:
        load = f"model.load_state_dict(safetensors.torch.load_file({str(path)!r}))"
        return f"has weights and no network (safetensors), expected a .pt2 or ONNX; in Python: {_then(load, path)}"
    if start.startswith(b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"):  # torch.save before PyTorch 1.6
        return f"was written by torch.save, expected a .pt2 or ONNX; in Python: {_saved(path)}"
    return None


def is_onnx(path: Path) -> bool:
    """Whether a file is called like an ONNX file, or begins like one: with a version, and a field that follows it."""
    if path.suffix == ".onnx":
        return True
    try:
        with open_file(path, most_bytes=1 << 62) as file:
            start = file.read(3)
    except OSError:
        return False
    return len(start) == 3 and start[0] == _IR_VERSION and start[1] in _IR_VERSIONS and start[2] in _NEXT


def _zipped(path: Path, file: object) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]  # a binary file
            names = [name.partition("/")[2] or name for name in archive.namelist()]
            if any(name in names for name in _EXPORTED) or "data.pkl" not in names:
                return None
            if archive.infolist()[0].header_offset:
                return None  # an archive within a damaged one: a .pt2 has its sample inputs so
            if any(name.partition("/")[0] in _SCRIPTED for name in names):
                return (
                    "is a TorchScript program, expected a .pt2 or ONNX; export the module that it was made from: "
                    f"{_EXPORT.format(path=_new_name(path))}"
                )
            member = archive.infolist()[names.index("data.pkl")]
            pickled = archive.read(member) if member.file_size <= _MOST_PICKLE else b""
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, NotImplementedError):
        return None  # damaged: who reads it as a .pt2 says how
    if all(module.startswith(_PLAIN) and not module.startswith("torch.nn.modules") for module in _modules(pickled)):
        return f"has weights and no network (torch.save), expected a .pt2 or ONNX; in Python: {_saved(path)}"
    load = f"model = torch.load({str(path)!r}, weights_only=False)"
    return (
        "has a whole module (torch.save), expected a .pt2 or ONNX; in Python, where its classes can be imported, and "
        f"if you trust the file (loading it runs code): {_then(load, path)}"
    )


def _modules(pickled: bytes) -> Iterator[str]:
    """Modules of all classes and functions that a pickle names."""
    try:
        strings: list[str] = []
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name == "GLOBAL":
                yield str(argument).partition(" ")[0]
            elif operation.name == "STACK_GLOBAL" and len(strings) > 1:
                yield strings[-2]
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, UnpicklingError):
        return  # what was read so far says enough


def _saved(path: Path) -> str:
    return _then(f"model.load_state_dict(torch.load({str(path)!r}, weights_only=True))", path)


def _then(load: str, path: Path) -> str:
    return f"{load}; {_EXPORT.format(path=_new_name(path))}"


def _new_name(path: Path) -> str:
    return str(path.with_suffix(".pt2"))
