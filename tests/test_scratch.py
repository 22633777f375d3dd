"""Temporary folders: what killed processes leave is removed, what belongs to others is not, a full disk is named."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_case import ROOT

from sparsecc.errors import OutputError
from sparsecc.runtime import scratch
from sparsecc.runtime.scratch import scratch_folder

HOLD = """
import sys, time
from sparsecc.runtime.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("text")
    print(folder, flush=True)
    sys.stdin.read()
"""
OLD = "sparsecc-scratch-0123456789abcdef"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go in this test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    scratch.remove_old.cache_clear()
    return folder


def holder() -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_folders_of_killed_processes_go_and_those_of_live_ones_stay(place: Path) -> None:
    (killed, old), (live, held) = holder(), holder()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (old.parent, old.exists(), held.exists()) == (place, True, True)
    with scratch_folder() as folder:
        assert sorted(place.iterdir()) == sorted([folder, held])
        assert (held / "sub" / "file").read_text() == "text"
    live.communicate("")
    assert list(place.iterdir()) == []


def test_what_is_not_ours_stays(place: Path, tmp_path: Path) -> None:
    """Links, other names, other users' and other people's folders of that name."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    (elsewhere / "file").write_text("text")
    (place / OLD).symlink_to(elsewhere)
    (place / OLD.replace("0", "1")).write_text("a file")
    (place / OLD.replace("0", "2")).mkdir(0o755)
    for name in ("sparsecc-results", f"{OLD}0", OLD[:-1], f"my-{OLD}"):
        (place / name).mkdir(0o700)
    before = sorted(place.iterdir())
    with scratch_folder():
        pass
    assert sorted(place.iterdir()) == before
    assert (elsewhere / "file").exists()


def test_folders_of_other_users_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / OLD).mkdir(0o700)
    with monkeypatch.context() as patch:
        patch.setattr("sparsecc.runtime.scratch.os.geteuid", lambda: os.getuid() + 1)
        with scratch_folder():
            assert (place / OLD).exists()
    scratch.remove_old.cache_clear()
    with scratch_folder():
        assert not (place / OLD).exists()


def test_a_folder_that_is_taken_for_old_before_it_is_locked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may look between the making and the locking of a folder: then there is another one."""
    real, made, other = scratch.hold, [], []

    def disturbed(folder: Path) -> int | None:
        made.append(folder)
        if len(made) == 1:  # the other one has the lock, and is about to remove it
            other.append(os.open(folder, os.O_RDONLY))
            fcntl.flock(other[0], fcntl.LOCK_EX)
        elif len(made) == 2:  # the other one is done
            monkeypatch.setattr("sparsecc.runtime.scratch.fcntl.flock", lambda *_: os.rmdir(folder))
        else:
            monkeypatch.undo()
        return real(folder)

    monkeypatch.setattr("sparsecc.runtime.scratch.hold", disturbed)
    with scratch_folder() as folder:
        assert (len(made), folder) == (3, made[-1])
        assert folder.exists()
    os.close(other[0])
    assert list(place.iterdir()) == [made[0]]


def test_file_systems_without_locks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (place / OLD).mkdir(0o700)
    monkeypatch.setattr("sparsecc.runtime.scratch.fcntl.flock", refuse)
    with scratch_folder() as folder:
        assert sorted(place.iterdir()) == sorted([folder, place / OLD])
    assert list(place.iterdir()) == [place / OLD]


def test_an_interrupt_while_a_folder_is_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = scratch.shutil.rmtree, []

    def interrupted(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(*arguments, **options)

    monkeypatch.setattr("sparsecc.runtime.scratch.shutil.rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_folder() as folder:
        (folder / "file").write_text("text")
    assert list(place.iterdir()) == []


def test_a_full_folder_is_the_one_that_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python tries other folders by itself where the one that was asked for takes nothing."""
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(place)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr("os.write", full)
    message = f"^can't write temporary files: No space left on device in {place}; free some disk space or set TMPDIR"

    def fill() -> None:
        with scratch_folder() as folder, open(folder / "file", "wb", buffering=0) as file:
            assert folder.parent == place
            os.write(file.fileno(), b"text")

    with pytest.raises(OutputError, match=message):
        fill()
    assert list(place.iterdir()) == []
