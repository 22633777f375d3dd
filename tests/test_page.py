"""The page of a report: all that it says of layers, whatever they are called, in one file."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from page_case import page_of, report_of, step

from sparsecc.analyse.picture import picture_of
from sparsecc.errors import UserError
from sparsecc.page import Measured, Side, write_report
from sparsecc.page.hints import hint
from sparsecc.page.picture import data_uri
from sparsecc.page.words import kept
from sparsecc.report import Report
from sparsecc.runtime.stored_report import StoredReport

#: names that would be markup, code of a template, or steer a terminal
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; & <b>bold</b>",
    "{{ 7*7 }}{% raw %}",
    "\u202ereversed\x1b[31m\n",
    "\ud800 half",
]


def written(tmp_path, *sides: Side):
    write_report(tmp_path / "page.html", sides)
    return page_of(tmp_path / "page.html")


def test_every_layer_has_its_facts(tmp_path):
    page = written(tmp_path, Side("net.so", report_of(["stem", "body.1", "body.2"])))
    assert page.titles[0] == "net.so"
    table = [row for row in page.rows if len(row) == 11]
    assert table[0][1:5] == ["layer", "blocks", "decision", "kernel"]
    assert [row[0] for row in table[1:]] == ["1", "2", "3", "4"]
    stem, body, _, pool = table[1:]
    assert stem[1].startswith("stem")
    assert (stem[3], body[3]) == ("dense direct", "sparse direct")
    assert "no zero blocks" in stem[10]
    assert body[5] == "0.002 ms"  # 7000 cycles at 3.5 GHz
    assert body[6].strip() == f"{100 * 7000 / (3500 * 6 + 700):.1f} %"
    assert (pool[1], pool[4].strip()) == ("pool", "window")
    details = [row[0] for row in page.rows if len(row) == 1]
    assert len(details) == 4
    assert "weight 32x32x1x1, output 14x14, input 14x14, stride 1x1" in details[0]
    assert "lanes 8, packed yes; chosen by cost model; predicted 0.001 ms" in details[0]


def test_measured_times_come_first(tmp_path):
    report = report_of(["stem", "body"])
    times = {step["key"]: 1e-6 for step in report.steps}
    measured = Measured(times, 3e-6, 2.9e-6, 3.2e-6, threads=2, runs=10, cpu="a processor")
    page = written(tmp_path, Side("net.so", report, measured, {"on": "a processor"}))
    heads, *rows = [row for row in page.rows if len(row) == 12]
    assert heads[5:8] == ["predicted", "measured", "share of time"]
    assert {row[7].strip() for row in rows} == {"33.3 %"}
    limit = report.plan.layers[0].kept_macs / (16 * 3.5e9 * 2 * 1e-6)
    assert rows[0][8] == f"{100 * limit:.1f} %"
    assert "Measured time" in (tmp_path / "page.html").read_text()


def test_names_are_text(tmp_path):
    side = Side("<h1>title</h1>", replace(report_of(NASTY), notes=("<i>note</i>",)))
    page = written(tmp_path, side)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert all("onerror" not in attrs for _, attrs in page.elements)
    assert page.titles[0] == "<h1>title</h1>"
    shown = [row[1] for row in page.rows if len(row) == 11][1:]
    for name, cell in zip(NASTY[:4], shown, strict=False):
        assert cell.startswith(name)
    assert shown[4].startswith(r"\u202ereversed\x1b[31m\n")
    assert "49" not in shown[3]
    assert "<i>note" not in (tmp_path / "page.html").read_text()


def test_two_reports_side_by_side(tmp_path):
    before, after = report_of(["stem", "a", "old"], density=0.9), report_of(["stem", "a", "new"])
    page = written(tmp_path, Side("before.so", before), Side("after.json", after))
    assert page.titles[0] == "A before.so beside B after.json"
    table = [row for row in page.rows if len(row) == 9]
    assert table[0][2:] == ["blocks A", "decision A", "time A", "blocks B", "decision B", "time B", "B faster"]
    names = [row[1].partition("conv")[0] for row in table[1:]]
    assert names == ["stem", "a", "old", "pool", "new"]
    assert table[1][8] == "1.00x"
    assert table[3][5:] == ["not there", "", "", "-"]


def test_500_layers_have_room(tmp_path):
    names = [f"backbone.stages.{i // 10}.blocks.{i % 10}.convolution" for i in range(500)]
    page = written(tmp_path, Side("net.so", report_of(names)))
    assert len([row for row in page.rows if len(row) == 11]) == 502
    assert (tmp_path / "page.html").stat().st_size < 2e6


def test_a_plan_alone_has_no_times(tmp_path):
    page = written(tmp_path, Side("net.pt2", replace(report_of(["stem", "body"]), steps=())))
    heads, *rows = [row for row in page.rows if len(row) == 8]
    assert "predicted" not in heads
    assert [row[1][:4] for row in rows] == ["stem", "body"]


def test_kernels_of_a_layer_stand_together():
    report = report_of(["stem", "body", "depthwise"])
    steps = (
        step("layer_0_winograd_in", kind="winograd_in", cycles=10.0), step("layer_0", cycles=20.0),
        step("layer_0_winograd_out", kind="winograd_out", cycles=5.0),
        step("layer_1", kind="chain", cycles=15.0, joined=("layer_2",)),
    )  # fmt: skip
    rows = Side("net.so", replace(report, steps=steps)).rows
    assert [(row.name, len(row.kernels), row.inside) for row in rows] == [
        ("stem", 3, ""), ("body", 1, ""), ("depthwise", 0, "body"),
    ]  # fmt: skip
    assert [row.share for row in rows] == [pytest.approx(0.7), pytest.approx(0.3), None]
    assert rows[1].macs == sum(layer.kept_macs for layer in report.plan.layers[1:])


def test_save(tmp_path):
    report = report_of(["stem", "body"])
    report.save(tmp_path / "r.html", title="my net")
    assert page_of(tmp_path / "r.html").titles[0] == "my net"
    report.save(tmp_path / "r.txt")
    assert (tmp_path / "r.txt").read_text() == f"{report}\n"
    StoredReport(report.to_json(), library="net.so").save(tmp_path / "r.json")
    again = StoredReport(json.loads((tmp_path / "r.json").read_text()), library="r.json").read()
    assert isinstance(again, Report)
    assert again.to_json() == report.to_json()
    with pytest.raises(UserError, match=r"found suffix '.pdf' .* expected .html, .json or .txt"):
        report.save(tmp_path / "r.pdf")


def test_without_jinja2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError, match=r"needs the package jinja2.*pip install '.\[page\]'"):
        report_of(["stem"]).save(tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []


# --- pictures of blocks ----------------------------------------------------------------------------------------------


def test_a_picture_has_a_digit_for_each_cell():
    kept = np.zeros((2, 4), np.bool_)
    kept[0, :2] = kept[1, 3] = True
    assert picture_of(kept) == ("9900", "0009")
    large = np.zeros((24, 240), np.bool_)
    large[:2, :5], large[22:, 230:] = True, True
    picture = picture_of(large)
    assert (len(picture), {len(line) for line in picture}) == (12, {24})
    assert (picture[0][:2], picture[11][-2:], picture[5]) == ("50", "09", "0" * 24)


def test_a_picture_survives_json():
    layer = report_of(["stem", "body"]).plan.layers[1]
    assert layer.structure is not None
    assert layer.structure.picture
    assert type(layer).from_json(layer.to_json()).structure.picture == layer.structure.picture
    old = layer.to_json()
    del old["structure"]["picture"]
    assert type(layer).from_json(old).structure.picture == ()


def test_an_image_has_the_pictures_pixels():
    data = b64decode(data_uri(("019", "900")).removeprefix("data:image/png;base64,"))
    assert data.startswith(b"\x89PNG")
    place = data.index(b"IDAT")
    (size,) = struct.unpack(">I", data[place - 4 : place])
    assert zlib.decompress(data[place + 4 : place + 4 + size]) == b"\0\0\1\x09\0\x09\0\0"


@pytest.mark.parametrize("picture", [(), ("01", "0"), ("0x",), ("٣",)])
def test_no_image_of_what_is_no_picture(picture):
    assert data_uri(picture) == ""


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.25, "25 %"), (0.2549, "25.5 %"), (0.0001, "> 0 %"), (0.99999, "< 100 %")],
)
def test_shares(share, text):
    assert kept(share) == text


def hints_of(**changes):
    """The hint for the second layer of a network whose structure is changed."""
    report = report_of(["stem", "body"])
    stem, body = report.plan.layers
    decision, reason = changes.pop("decision", body.decision), changes.pop("reason", body.reason)
    limit = changes.pop("limit", "")
    body = replace(body, structure=replace(body.structure, **changes), decision=decision, reason=reason, limit=limit)
    return hint(Side("", replace(report, plan=type(report.plan)((stem, body)))).rows[1])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"decision": "dense", "reason": "kept dense by keep_dense="}, "out of keep_dense"),
        ({"decision": "dense"}, "Prune more of it, 2"),
        ({"decision": "dense", "density": 1.0}, "zeros are scattered"),
        ({"decision": "dense", "density": 1.0, "sparsity": 0.0}, "Prune blocks of it"),
        ({"block_n": 1}, "Prune blocks of 4, 8 or 16"),
        ({"by_tap": True}, "whole kernels"),
        ({"counts": (1, 8.0, 30)}, "the fullest keeps 30 blocks, the median one 8"),
        ({"counts": (8, 8.0, 8)}, "sparsecc tune"),
        ({"limit": "max_growth"}, "given up: max_growth"),
        ({"all_zero": True}, ""),
    ],
)
def test_hints(changes, text):
    found = hints_of(**changes)
    assert text in found
    assert bool(text) == bool(found)
