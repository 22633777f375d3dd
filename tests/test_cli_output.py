"""What the commands print with: tables, stages and units."""

from __future__ import annotations

import os

import pytest
from rich.console import Console

from sparsecc.cli.progress import Stages
from sparsecc.cli.table import Column, print_table
from sparsecc.cli.units import in_ms, shape_text
from sparsecc.text import in_bytes, short


def printed(columns, rows, *, width: int) -> list[str]:
    console = Console(width=width, markup=False)
    with console.capture() as capture:
        print_table(console, columns, rows)
    return capture.get().splitlines()


def test_table_drops_columns_then_cuts_names():
    columns = [Column("name", left=True), Column("first", drop=2), Column("kept"), Column("later", drop=1)]
    rows = [("features.block4.layer16.conv2", "1", "22", "3"), ("a", "1", "2", "3")]
    assert printed(columns, rows, width=100)[0].split() == ["name", "first", "kept", "later"]
    assert printed(columns, rows, width=45)[0].split() == ["name", "kept", "later"]
    narrow = printed(columns, rows, width=20)
    assert narrow[0].split() == ["name", "kept"]
    assert narrow[1:] == ["-" * 20, "featur...conv2    22", "a                  2"]


def begin_and_fail(stages: Stages) -> None:
    stages("import")
    raise KeyError


def test_stages_on_a_terminal():
    console = Console(force_terminal=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with Stages(console) as stages:
        stages("import")
        stages("build")
    assert list(stages.seconds) == ["import", "build"]
    stages = Stages(console)
    with pytest.raises(KeyError), stages:
        begin_and_fail(stages)
    assert stages.seconds == {}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (short(0), "0"),
        (short(999), "999"),
        (short(1234), "1.23 k"),
        (short(5e13), "50000 G"),
        (in_bytes(12), "12 B"),
        (in_bytes(1.68e6), "1.68 MB"),
        (in_ms(1.5e-6), "0.0015"),
        (in_ms(0.01234), "12.34"),
        (in_ms(2.5), "2500"),
        (shape_text((1, 3, 8)), "1x3x8"),
        (shape_text(()), "scalar"),
    ],
)
def test_units(found, expected):
    assert found == expected
