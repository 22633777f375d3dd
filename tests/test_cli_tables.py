"""Tables on narrow terminals: columns go, labels stay, and only what is shown is explained."""

from __future__ import annotations

import io
import re
from argparse import Namespace
from dataclasses import replace

import pytest
from page_case import report_of
from rich.console import Console
from test_cli_output import printed

import sparsecc
from sparsecc.cli import advise, targets
from sparsecc.cli.bench import spread_warning
from sparsecc.cli.plan_view import print_plan
from sparsecc.cli.progress import Stages, seconds_left
from sparsecc.cli.table import Column
from sparsecc.cli.timing import Times
from sparsecc.target import TARGETS

WIDTHS = (60, 80, 120)


def console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_advice_keeps_its_labels(width, advice):
    to = console(width)
    advise.print_advice(to, advice)
    lines = text_of(to).splitlines()
    heads, _, *rows = lines[: 2 + len(advice.nets)]
    assert heads.startswith("net, ms")
    assert [row.split()[0] for row in rows] == [f"1x{net.n}" for net in advice.nets]
    assert heads.split()[2:4] == ["0", "%"]
    assert "75 %" in heads
    assert heads.endswith("break-even")
    table = lines[lines.index("") + 1 :]
    assert table[0].split()[0] == "layer"
    assert [line.split()[0] for line in table[2 : 2 + len(advice.layers)]] == [layer.name for layer in advice.layers]
    assert ("bound by" in table[0]) == ("bound by:" in " ".join(lines))
    assert max(len(line) for line in lines if not line.startswith("predicted for")) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_names_that_one_must_type_are_whole(width, monkeypatch, capsys):
    monkeypatch.setattr("sparsecc.cli.console.PIPE_WIDTH", width)
    assert targets.execute(Namespace(json=False, measure=False)) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines[2 : 2 + len(TARGETS)]]
    assert names == list(TARGETS)
    assert max(map(len, lines[: 2 + len(TARGETS)])) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_only_columns_that_are_shown_are_explained(width):
    to = console(width)
    print_plan(to, report_of(["stem", "body"]).plan)
    said = text_of(to)
    heads = said.splitlines()[0]
    for head in ("kept", "per row", "MACs", "speed-up"):
        assert (f"{head}:" in said) == (head in heads), head
    assert "algorithm:" not in said


def test_names_stay_different():
    names = ["backbone.stage.block.first.convolution", "backbone.stage.block.other.convolution"]
    columns = [Column("layer", left=True), Column("ms")]
    for width in (20, 30):
        lines = printed(columns, [(name, "1") for name in names], width=width)
        assert all(name in line for name, line in zip(names, lines[2:], strict=True))
    cut = printed(columns, [("a.long.name.that.goes.on", "1"), ("another.one.that.does.so.too", "2")], width=20)
    assert max(map(len, cut)) <= 20


def test_a_head_is_never_dots():
    rows = [("a", "1" * 70)]
    assert re.match("layer  +ms$", printed([Column("layer", left=True), Column("ms")], rows, width=40)[0])


def test_weights_that_winograd_makes_larger_say_so():
    report = report_of(["stem", "body"])
    stem, body = report.plan.layers
    spec = replace(stem.spec, ih=16, iw=16, kh=3, kw=3, padding=(1, 1, 1, 1))
    plan = type(report.plan)((replace(stem, spec=spec, tile=4), body))
    added = plan.layers[0].added_bytes
    assert added > 0
    to = console(120)
    print_plan(to, plan)
    for said in (text_of(to), str(plan)):
        assert re.search(r"kept \([\d.]+ [kM]B of it by Winograd's algorithm\)", said)
    assert "by Winograd's" not in str(report.plan)


def test_help_of_compile_names_every_target():
    assert all(f'``"{name}"``' in str(sparsecc.compile.__doc__) for name in ["native", *TARGETS])


@pytest.mark.parametrize(("seconds", "steady"), [([1.35e-3, 38.9e-3, 208e-3], False), ([1e-3, 1.2e-3, 1.4e-3], True)])
def test_a_spread_that_makes_the_median_meaningless_is_told(seconds, steady):
    times = Times(tuple(seconds))
    assert times.steady is steady
    document = {"p10_s": 1.35e-3, "p90_s": 208e-3, "min_s": 1.3e-3, "threads": 2}
    said = spread_warning(document)
    assert "took 154.1 times what the quick ones (p10) took, so the median says little" in said
    assert "--threads 1" in said
    assert "--threads" not in spread_warning({**document, "threads": 1})


def test_the_time_that_is_left():
    usual = {"start": 3.0, "import": 2.0, "build": 6.0}
    assert seconds_left(usual, {}, "start", 1.0) == pytest.approx(10)
    assert seconds_left(usual, {"start": 9.0}, "import", 0.5) == pytest.approx(7.5)
    assert seconds_left(usual, {"start": 3.0, "import": 4.0}, "build", 2.0) == pytest.approx(10)
    assert seconds_left(usual, {"start": 3.0, "import": 4.0}, "build", 13.0) is None
    assert seconds_left(usual, {}, "something else", 1.0) is None


def test_progress_leaves_nothing_on_a_terminal():
    to = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None, legacy_windows=False)
    with Stages(to, usual={"import": 9.0}) as stages:
        stages("import")
        stages("link \x1b[31m")
    said = text_of(to)
    assert "import the model" in said
    assert "about 9 s left" in said
    assert "\x1b[31m" not in said
    assert said.endswith("\x1b[1A\x1b[2K")  # up one line, and erase it
