"""Names that stand for no ordinary file: every reader refuses them before it reads anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import kernels_c
import pytest
from test_untrusted import READERS

from sparsecc.cli import main
from sparsecc.untrusted import RefusedError, available_bytes, files, open_file, read_file

BIG = 20 * 10**9


def special(kind: str, folder: Path) -> Path:
    """Something with a name that is no ordinary file, or one that nobody should read."""
    path = folder / "given.so"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    elif kind == "huge":
        path.touch()
        os.truncate(path, BIG)
    elif kind == "huge library":
        path.write_bytes(kernels_c.tiny_library().read_bytes()[:64])
        os.truncate(path, BIG)
    else:
        return Path(kind)
    return path


SPECIAL = ("pipe", "folder", "socket", "huge", "huge library", "/dev/zero", "/dev/tty")


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused(reader: str, kind: str, tmp_path: Path) -> None:
    read, error = READERS[reader]
    expected = {"pipe": "it is a pipe", "folder": "it is a folder", "socket": "it is a socket"}
    with pytest.raises(error, match=expected.get(kind, "19073 MiB, more than" if "huge" in kind else "it is a device")):
        read(special(kind, tmp_path))


@pytest.mark.parametrize("kind", ["pipe", "huge", "/dev/zero"])
def test_commands_refuse_what_is_no_file(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(special(kind, tmp_path))
    good, out = str(kernels_c.tiny_library()), str(tmp_path / "out.npy")
    for words in (
        ["inspect", path], ["bench", path], ["run", path, "--input", "x.npy", "--output", out],
        ["run", good, "--input", path, "--output", out], ["schedules", "check", path], ["compile", path],
    ):  # fmt: skip
        assert main(words) == 2, words
        assert "unexpected" not in capsys.readouterr().err


def test_arrays_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(kernels_c.tiny_library())
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
    for shape in ("9" * 18 + ",", "(" * 500, "-3,", "1" * 300 + ","):
        content = (header % shape).encode().ljust(1014 - 16) + b"\n"
        path = tmp_path / "x.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content)
        assert main(["run", good, "--input", str(path), "--output", str(tmp_path / "y.npy")]) == 2
        assert "not a .npy file of numbers" in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look and opening it: nobody waits for a writer."""
    path = special("pipe", tmp_path)
    looks = iter([Path(__file__).stat()])
    real = files.check_kind
    monkeypatch.setattr(files, "check_kind", lambda status: real(next(looks, status)))
    with pytest.raises(RefusedError, match="it is a pipe"):
        open_file(path, most_bytes=1000)


def test_a_file_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_file(path, most_bytes=5) == b"12345"
    with pytest.raises(RefusedError, match="more than"):
        read_file(path, most_bytes=4)
    monkeypatch.setattr(files.os, "fstat", lambda descriptor: os.stat("/proc/version"))
    with pytest.raises(RefusedError, match="grows"):
        read_file(path, most_bytes=4)
    with pytest.raises(RefusedError, match="null"):
        read_file("a\0b", most_bytes=4)


def test_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 << 20 < available_bytes() < 1 << 50
    monkeypatch.setattr(Path, "read_text", lambda self: "nothing")
    assert available_bytes() == 1 << 62
