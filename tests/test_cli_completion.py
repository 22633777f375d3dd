"""``sparsecc completion``: shells complete commands, options and targets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparsecc.cli import main

#: what bash asks a completion: the words so far, the last of them to be completed
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_shtab_sparsecc "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(capsys: pytest.CaptureFixture[str], shell: str) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ins"], {"inspect"}),
        (["inspect", "--ht"], {"--html"}),
        (["compile", "--target", "rpi4"], {"rpi4", "rpi4-32"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_bash(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], offered: set[str]) -> None:
    (tmp_path / "script").write_text(script(capsys, "bash"))
    command = ["bash", "--norc", "-c", ASK, "bash", str(tmp_path / "script"), "sparsecc", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_others_have_every_command(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    found = script(capsys, shell)
    assert all(word in found for word in ("compile", "doctor", "schedules", "--html", "rpi-zero2"))


def test_without_its_package(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "completion needs the package shtab, which is not installed" in capsys.readouterr().err
