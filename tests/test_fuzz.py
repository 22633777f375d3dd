"""A minute of the fuzz program, and whether it notices what it looks for; docs/reliability.md has the long run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from fuzz.damage import DAMAGES, damaged, damaged_json
from fuzz.isolated import isolated
from fuzz.kinds import KINDS
from fuzz.outcome import Outcome
from fuzz.run import Tally, run

import sparsecc

#: cases of each kind: a few seconds each
CASES = {"library": 150, "description": 80, "records": 30, "target": 60, "figures": 40, "package": 20, "network": 12}
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples", ROOT / "tests")))
    subprocess.run(
        [sys.executable, "-m", "fuzz.samples", str(folder)], check=True, env={**os.environ, "PYTHONPATH": path}
    )
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_no_case_ends_badly(kind: str, samples: Path) -> None:
    tally = Tally(kind)
    for seed, outcome in run(kind, samples, seeds=range(CASES[kind])):
        tally.add(seed, outcome)
    assert tally.cases == CASES[kind]
    assert not tally.bad, "\n".join(f"{kind} {seed}: {outcome}" for seed, outcome in tally.bad)


def _die() -> Outcome:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Outcome("right")


def _sleep() -> Outcome:
    time.sleep(60)
    return Outcome("right")


def _raise(error: BaseException) -> Outcome:
    raise error


def test_a_process_of_its_own_notices_every_ending() -> None:
    assert isolated(lambda: Outcome("wrong", "7 for 8"), seconds=10) == Outcome("wrong", "7 for 8")
    assert isolated(_die, seconds=10) == Outcome("signal", "SIGSEGV")
    assert isolated(_sleep, seconds=0.2).ending == "hang"
    assert isolated(lambda: os._exit(3), seconds=10) == Outcome("foreign", "the process ended with code 3")
    assert isolated(lambda: _raise(sparsecc.errors.LibraryError("x")), seconds=10).ending == "refused"
    assert isolated(lambda: _raise(sparsecc.errors.InternalError("x")), seconds=10).ending == "bug"
    foreign = isolated(lambda: _raise(KeyError("x")), seconds=10)
    assert foreign.ending == "foreign"
    assert "KeyError at test_fuzz.py" in foreign.detail


@pytest.mark.parametrize("damage", set(DAMAGES), ids=lambda damage: damage.__name__.strip("_"))
def test_damage_changes_most_files(damage: object) -> None:
    data = Random(0).randbytes(20000)
    changed = [damage(data, Random(seed)) != data for seed in range(50)]  # type: ignore[operator]
    assert sum(changed) > 30


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def test_damaged_json_reaches_every_field() -> None:
    value = {"a": 1, "b": [1, {"c": "x"}], "d": None}
    texts = {damaged_json(value, Random(seed)) for seed in range(500)}
    assert len(texts) > 100
    objects = [data for data in map(_parsed, texts) if isinstance(data, dict)]
    for name, expected in value.items():
        assert any(name not in data for data in objects), name
        assert any(data.get(name, expected) != expected for data in objects), name


def test_a_seed_is_a_case() -> None:
    data = bytes(range(256))
    assert damaged(data, Random("library 5")) == damaged(data, Random("library 5"))
