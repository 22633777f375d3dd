"""What goes wrong while a library is linked: compilers, kernels, triples, disks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import kernels_c
import pytest

from sparsecc.build.toolchain import CC_VARIABLE, find_compiler
from sparsecc.errors import OutputError, TargetError, ToolchainError


def link(out: Path, *, cc: str | None = None) -> None:
    kernels_c.link(kernels_c.tiny(), out, cc=cc)


def fake_compiler(folder: Path, *, says: str) -> str:
    script = folder / "fake-cc"
    script.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    script.chmod(0o755)
    return str(script)


def test_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolchainError, match="'no-such-cc' not found; install it"):
        link(tmp_path / "m.so", cc="no-such-cc")
    monkeypatch.setenv(CC_VARIABLE, "no-such-cc-either")
    with pytest.raises(ToolchainError, match="no-such-cc-either"):
        link(tmp_path / "m.so")
    monkeypatch.delenv(CC_VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="pip install ziglang"):
        link(tmp_path / "m.so")
    assert not list(tmp_path.iterdir())


def test_failing_compiler_is_quoted_and_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "m.so"
    out.write_text("old")
    (tmp_path / "bin").mkdir()
    with pytest.raises(ToolchainError, match="cosmic rays"):
        link(out, cc=fake_compiler(tmp_path / "bin", says="error: cosmic rays"))
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "m.so"]


def test_missing_kernel_is_a_link_error(tmp_path: Path) -> None:
    program = kernels_c.with_step(1, symbol="k_forgotten")
    with pytest.raises(ToolchainError, match="tiny_k_forgotten"):
        kernels_c.link(program, tmp_path / "m.so")


@pytest.mark.parametrize("triple", ["riscv64-linux-gnu", "x86_64-apple-darwin", "nonsense"])
def test_unknown_triples(triple: str) -> None:
    with pytest.raises(TargetError, match="no library can be linked"):
        find_compiler(None, triple=triple)


def test_output_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for out, message in [
        ("missing/m.so", "create it first"),
        ("file/m.so", "not a folder"),
        ("folder", "folder of that"),
    ]:
        with pytest.raises(OutputError, match=message):
            link(tmp_path / out)


@pytest.mark.parametrize(("code", "advice"), [(errno.EROFS, "read-only"), (errno.EACCES, "permissions")])
def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    def refuse(*arguments: object, **options: object) -> int:
        raise OSError(code, os.strerror(code))

    link(tmp_path / "found.so")  # the compiler is looked for once, and that opens files, too
    monkeypatch.setattr("sparsecc.runtime.files.os.open", refuse)
    with pytest.raises(OutputError, match=advice):
        link(tmp_path / "m.so")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    with pytest.raises(OutputError, match="TMPDIR"):
        link(tmp_path / "m.so", cc=fake_compiler(tmp_path / "bin", says="fatal: No space left on device"))

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sparsecc.build.link.shutil.copyfileobj", full)
    with pytest.raises(OutputError, match=r"m\.so: No space left on device; free some disk space"):
        link(tmp_path / "m.so")
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]
