"""Bad disks, compilers, libraries and processors: each its own error; what was there before stays, nothing is half.

The list begins in ``test_errors_import.py`` and ``test_errors_run.py``. Tested elsewhere, at their home:

* libraries cut at every length, damaged, of other kinds, formats and architectures: ``test_runtime_files.py``
* a processor that lacks a feature, seen by the C runtime itself: ``test_runtime_files.py``
* no C compiler, one that fails, a missing kernel; folders that are missing or read-only: ``test_build_errors.py``
* the command line's options, inputs and outputs, a disk that is full at ``run``: ``test_cli_*.py``
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cli_case import fails
from torch import nn

import sparsecc
from sparsecc.errors import LibraryError, OutputError, ToolchainError, UserError
from sparsecc.target import resolve

SHAPE = (1, 8, 6, 5)
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()).eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A network compiled once: ``lib``, ``file`` (the library), ``pt2`` and ``x`` (.npy)."""
    folder = tmp_path_factory.mktemp("errors")
    torch.manual_seed(0)
    net = model()
    torch.export.save(torch.export.export(net, (X,)), folder / "m.pt2")
    np.save(folder / "x.npy", X.numpy())
    lib = sparsecc.compile(net, example_inputs=(X,))
    lib.save(folder / "m.so")
    return SimpleNamespace(lib=lib, file=folder / "m.so", pt2=folder / "m.pt2", x=folder / "x.npy")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder, hidden ones too."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


# --- saving --------------------------------------------------------------------------------------------------------


def full_disk(monkeypatch: pytest.MonkeyPatch, folder: Path, *, only: str = "") -> None:
    """Files can be made in the folder, but nothing fits into those whose names contain ``only``."""
    real = os.open

    def fake(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        descriptor = real(path, flags, mode, **more)
        if Path(path).parent != folder or only not in Path(path).name:
            return descriptor
        os.close(descriptor)
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr("sparsecc.runtime.files.os.open", fake)


def read_only_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    real = os.open

    def fake(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if Path(path).parent == folder:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, mode, **more)

    monkeypatch.setattr("sparsecc.runtime.files.os.open", fake)


def full_when_renamed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def fake(source: Any, target: Any) -> None:
        if Path(target).parent != folder:
            return os.rename(source, target)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sparsecc.runtime.files.os.replace", fake)


NO_SPACE = "No space left on device; free some disk space or choose another folder"
DISKS: dict[str, tuple[Callable[..., None], str]] = {
    "full": (full_disk, NO_SPACE),
    "full for the library": (lambda *args: full_disk(*args, only=".so."), NO_SPACE),
    "full for the header": (lambda *args: full_disk(*args, only=".h."), NO_SPACE),
    "full when renamed": (full_when_renamed, NO_SPACE),
    "read-only": (read_only_disk, "Read-only file system; the file system is read-only: choose another folder"),
}


@pytest.mark.parametrize("before", [{}, {"m.so": b"old library", "m.h": b"old header"}], ids=["new", "old"])
@pytest.mark.parametrize("disk", DISKS)
def test_disks_that_take_nothing(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, disk: str, before: Any
) -> None:
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    break_disk, message = DISKS[disk]
    break_disk(monkeypatch, tmp_path)
    with pytest.raises(OutputError, match=rf"^can't write {tmp_path}/m\.(so|h): {message}$"):
        made.lib.save(tmp_path / "m.so")
    assert contents(tmp_path) == before
    if disk in ("full", "read-only"):
        code, said = fails(capsys, "compile", made.pt2, "-o", tmp_path / "m.so")
        assert (code, message in said, contents(tmp_path)) == (2, True, before)


def test_a_library_alone_on_a_full_disk(made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.so").write_bytes(b"old")
    full_disk(monkeypatch, tmp_path)
    with pytest.raises(OutputError, match=NO_SPACE):
        sparsecc.load(made.file).save(tmp_path / "m.so")
    with pytest.raises(OutputError, match=NO_SPACE):
        made.lib.save(tmp_path / "m.a")
    assert contents(tmp_path) == {"m.so": b"old"}


def test_outputs_of_run_on_a_full_disk(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "y.npy").write_bytes(b"old")
    full_disk(monkeypatch, tmp_path)
    code, said = fails(capsys, "run", made.file, "--input", made.x, "--output", tmp_path / "y.npy")
    assert (code, NO_SPACE in said, contents(tmp_path)) == (2, True, {"y.npy": b"old"})


@pytest.mark.parametrize("name", ["m.so", "m.h"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a device"])
def test_only_files_are_replaced(made: SimpleNamespace, tmp_path: Path, capsys: Any, kind: str, name: str) -> None:
    path = tmp_path / name
    {"folder": os.mkdir, "pipe": os.mkfifo, "link to a device": lambda p: os.symlink(os.devnull, p)}[kind](path)
    found = "folder" if kind == "folder" else "device, pipe or socket"
    message = f"can't write {path}: there is a {found} of that name, expected an ordinary file or none; choose another"
    with pytest.raises(OutputError, match=message):
        made.lib.save(tmp_path / "m.so")
    code, said = fails(capsys, "compile", made.pt2, "-o", tmp_path / "m.so")
    assert (code, message in said) == (2, True)
    assert (contents(tmp_path), path.is_file()) == ({name: None}, False)


def test_devices_are_not_replaced(made: SimpleNamespace) -> None:
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(OutputError, match=f"can't write {device}: there is a device, pipe or socket"):
            sparsecc.load(made.file).save(device)
        assert Path(device).is_char_device()


def test_a_suffix_that_says_nothing(made: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found suffix '\.dll' in .*, expected \.so, \.a, or a folder"):
        made.lib.save(tmp_path / "m.dll")
    assert contents(tmp_path) == {}


def test_no_place_for_temporary_files(made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(OutputError, match=r"can't write temporary files: No such file.*; free .* or set TMPDIR"):
        made.lib.save(tmp_path / "m.a")
    assert contents(tmp_path) == {}


# --- compilers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cc", "message"),
    [
        ("no-such-cc", "C compiler 'no-such-cc' not found; install it, correct cc= or SPARSECC_CC, or leave both out"),
        ("gcc 'x", r"C compiler: \"gcc 'x\" can't be split into words \(No closing quotation\); correct cc= or"),
        ("{folder}/cc", "can't run .*/cc: No such file or directory; install it, correct cc= or SPARSECC_CC"),
    ],
    ids=["missing", "quoted", "without an interpreter"],
)
def test_compilers_that_can_not_be_called(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cc: str, message: str
) -> None:
    (tmp_path / "cc").write_text("#!/nonexistent/shell\n")
    (tmp_path / "cc").chmod(0o755)
    with pytest.raises(ToolchainError, match=message):
        sparsecc.compile(model(), example_inputs=(X,), cc=cc.format(folder=tmp_path))
    monkeypatch.setenv("SPARSECC_CC", cc.format(folder=tmp_path))
    with pytest.raises(ToolchainError, match=message):
        made.lib.save(tmp_path / "m.a")
    assert [path.name for path in tmp_path.iterdir()] == ["cc"]


# --- libraries -----------------------------------------------------------------------------------------------------


def foreign(file: Path, folder: Path) -> dict[str, Path]:
    """What is no library of ours, by its name."""
    data = file.read_bytes()
    parts = {"empty": b"", "text": b"hello", "third": data[: len(data) // 3], "all-but-one": data[:-1]}
    for name, content in parts.items():
        (folder / f"{name}.so").write_bytes(content)
    libc = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc" in line)
    return {**{name: folder / f"{name}.so" for name in parts}, "system": Path(libc), "missing": folder / "none.so"}


def test_foreign_libraries_in_every_command(made: SimpleNamespace, tmp_path: Path, capsys: Any) -> None:
    said_of = {
        "empty": "the file is empty",
        "text": "not an ELF file (it starts with b'hello')",
        "third": "cut off or damaged: its ",
        "all-but-one": "cut off or damaged: its ",
        "system": "an ELF file that sparsecc did not make; expected a library made by sparsecc",
        "missing": "can't be read: No such file or directory; expected a library made by sparsecc",
    }
    files = foreign(made.file, tmp_path)
    before = contents(tmp_path)
    for name, path in files.items():
        with pytest.raises(LibraryError) as caught:
            sparsecc.load(path)
        assert str(caught.value).startswith(f"{path}: {said_of[name]}")
        output = tmp_path / "y.npy"
        for arguments in (["inspect"], ["bench", "--runs", 1], ["run", "--input", made.x, "--output", output]):
            code, said = fails(capsys, arguments[0], path, *arguments[1:])
            assert (code, said_of[name] in said) == (2, True)
    assert contents(tmp_path) == before


def test_a_library_for_another_processor(tmp_path: Path, made: SimpleNamespace, capsys: Any) -> None:
    """A target that no machine is: what is compiled can be saved, and says so where it is loaded."""
    target = replace(resolve("x86-64-v4"), cpu_features=("avx2", "avx1024"))
    lib = sparsecc.compile(model(), target, example_inputs=(X,))
    assert lib.report.error < 1e-5
    assert lib.report.compared == "same kernels built for this machine: this processor lacks what the target has"
    with pytest.raises(LibraryError, match="this machine can't run code for x86-64-v4; save the library and load it"):
        lib(X)
    lib.save(tmp_path / "m.so")
    message = "compiled for target x86-64-v4 and needs CPU features that this machine lacks: avx1024; compile it for"
    with pytest.raises(LibraryError, match=message):
        sparsecc.load(tmp_path / "m.so")
    code, said = fails(capsys, "run", tmp_path / "m.so", "--input", made.x, "--output", tmp_path / "y.npy")
    assert (code, message in said, (tmp_path / "y.npy").exists()) == (2, True, False)


def test_a_machine_without_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsecc.target.model.cpu_flags", lambda: frozenset(resolve("x86-64-v3").cpu_features))
    assert resolve("native").name == "x86-64-v3"
    lib = sparsecc.compile(model(), "x86-64-v4", example_inputs=(X,))
    with pytest.raises(LibraryError, match="this machine can't run code for x86-64-v4"):
        lib.profile(X)


def test_a_library_says_which_version_made_it(made: SimpleNamespace) -> None:
    assert made.lib.library.description["version"] == sparsecc.__version__
    version = ctypes.CDLL(str(made.file)).model_version
    version.restype = ctypes.c_char_p
    assert version().decode() == sparsecc.__version__
