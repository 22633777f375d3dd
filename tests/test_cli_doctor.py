"""``sparsecc doctor``: what it finds is what is there."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from cli_case import document

import sparsecc
from sparsecc.cli import doctor_packages, main
from sparsecc.cli.doctor_packages import fits_clauses
from sparsecc.errors import ToolchainError
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.target.native import threads
from sparsecc.target.native.threads import Threads, threads_here


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of its own, and no settings of whoever runs the tests."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", os.environ.get("ZIG_GLOBAL_CACHE_DIR", f"{home}/zig"))  # libc is there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("SPARSECC_")]:
        monkeypatch.delenv(name)


def test_all_of_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "sparsecc" / "libraries"
    kept.mkdir(parents=True)
    (kept / "a.so").write_bytes(bytes(3000))
    found = document(capsys, "doctor")
    assert found["version"] == sparsecc.__version__
    rows = {row["name"]: row for row in found["packages"]}
    assert rows["numpy"] == {
        "name": "numpy", "installed": np.__version__, "wanted": ">=1.26", "for": "run", "fits": True
    }  # fmt: skip
    assert (rows["torch"]["installed"], rows["torch"]["for"]) == (version("torch"), "compiler")
    assert found["machine"]["native"].startswith(resolve("native").name)
    assert found["machine"]["kept libraries"] == f"1 file, 3 kB in {kept}, 2.15 GB at most"
    assert found["machine"]["kept figures"] == f"nothing in {kept.parent}"
    assert found["threads"]["threads"] == load(kernels_c.tiny_library()).threads
    assert found["peak_flops"] > 1e8
    assert found["problems"] == []


def test_what_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSECC_THREADS", "1")
    assert main(["doctor", "--no-peak"]) == 0
    said = capsys.readouterr().out
    assert "threads         1: SPARSECC_THREADS=1\n" in said
    assert "environment     SPARSECC_THREADS=1\n" in said
    assert "peak" not in said
    assert said.endswith("\nnothing that must be mended\n")


def test_what_must_be_mended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["numpy>=1.26", 'torch<2.14,>=2.13; extra == "compiler"', 'ruff>=0.9; extra == "dev"']
    monkeypatch.setattr(doctor_packages, "requires", lambda name: declared)
    monkeypatch.setattr(doctor_packages, "version", {"numpy": "1.26.4", "torch": "2.15.0"}.__getitem__)
    monkeypatch.setenv("SPARSECC_CACHE_BYTES", "much")
    assert main(["doctor", "--no-peak"]) == 0
    said = capsys.readouterr().out
    assert "problem: torch 2.15.0 is installed, <2.14,>=2.13 is wanted; in sparsecc's folder: pip" in said
    assert "problem: SPARSECC_CACHE_BYTES: found 'much', expected a number of bytes" in said
    assert "ruff" not in said


def test_without_a_compiler(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSECC_CC", "/none/cc")
    found = document(capsys, "doctor")
    assert found["threads"] is None
    assert found["machine"]["threads"].startswith("not known: C compiler '/none/cc' not found")
    assert found["machine"]["peak"].startswith("not measured: C compiler '/none/cc' not found")


def test_the_count_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "parse_json", lambda text: [])
    with pytest.raises(ToolchainError, match="counting this machine's threads failed"):
        threads_here()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Threads(2, 2, 8, 8, 8, 8), "SPARSECC_THREADS=2"),
        (Threads(1, 0, 1, 1, 1, 1), "1 core with the 1 CPU that it may use"),
        (Threads(6, 0, 20, 14, 6, 20), "14 cores with the 20 CPUs that it may use, of which the 6 fast ones are best"),
        (Threads(2, 0, 8, 4, 4, 2), "4 cores with the 8 CPUs that it may use, and a quota of 2 CPUs"),
    ],
)
def test_why_so_many_threads(found: Threads, reason: str) -> None:
    assert found.reason == reason


@pytest.mark.parametrize(
    ("installed", "wanted", "fits"),
    [
        ("2.13.0+cpu", ">=2.13,<2.14", True),
        ("2.14.0", "<2.14,>=2.13", False),
        ("2.13", "==2.13.0", True),
        ("0.27.0.post1", "==0.27.0.post1", True),
        ("3.0", "!=3", False),
        ("1.9", ">2", False),
        ("2.0", "<=2", True),
        ("9", "", True),
    ],
)
def test_versions_that_fit(installed: str, wanted: str, *, fits: bool) -> None:
    assert fits_clauses(installed, wanted) is fits
