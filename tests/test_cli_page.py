"""``--html`` and ``--beside`` of ``inspect``, ``bench`` and ``advise``."""

from __future__ import annotations

import json

import pytest
from cli_case import command, document, fails
from page_case import page_of, report_of

from sparsecc.cli import main


def test_inspect_library(made, tmp_path):
    done = command("inspect", made.library, "--html", tmp_path / "r.html", alone=True)
    assert (done.returncode, done.stderr) == (0, f"wrote {tmp_path / 'r.html'}\n")
    page = page_of(tmp_path / "r.html")
    assert page.titles[0] == "model.so"
    names = [row[1].partition("conv")[0] for row in page.rows if len(row) == 11]
    assert {"stem", "body"} <= set(names)
    assert any(attrs.get("src", "").startswith("data:image/png") for tag, attrs in page.elements if tag == "img")


def test_inspect_model_predicts_what_a_compilation_reports(made, tmp_path, capsys):
    assert main(["inspect", str(made.model), "--html", str(tmp_path / "m.html")]) == 0
    assert main(["inspect", str(made.library), "--html", str(tmp_path / "l.html")]) == 0
    capsys.readouterr()
    model, library = ([row for row in page_of(tmp_path / name).rows if len(row) == 11] for name in ("m.html", "l.html"))
    assert model == library


def test_inspect_beside(made, tmp_path, capsys):
    for name, content in (
        ("report.json", report_of(["stem", "other"]).to_json()),
        ("inspect.json", document(capsys, "inspect", made.library)),
        ("plan.json", {"kind": "model", "target": "rpi4", "plan": report_of(["stem"]).to_json()["plan"]}),
    ):
        (tmp_path / name).write_text(json.dumps(content))
        files = ["--html", str(tmp_path / "r.html"), "--beside", str(tmp_path / name)]
        assert main(["inspect", str(made.library), *files]) == 0
        assert page_of(tmp_path / "r.html").titles[0] == f"A model.so beside B {name}"


def test_bench(made, tmp_path, capsys):
    files = ["--html", str(tmp_path / "b.html"), "--beside", str(made.library)]
    assert main(["bench", str(made.library), "--runs", "3", *files]) == 0
    assert "median" in capsys.readouterr().out
    page = page_of(tmp_path / "b.html")
    heads, *rows = [row for row in page.rows if len(row) == 9]
    assert heads[-1] == "B faster"
    assert any(row[-1].endswith("x") for row in rows)
    assert (tmp_path / "b.html").read_text().count("<dt>measured</dt>") == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--html", "r.pdf"], "found suffix '.pdf' in r.pdf, expected .html"),
        (["--html", "no/such/r.html"], "the folder does not exist"),
        (["--beside", "other.so"], "--beside: needs --html FILE"),
        (["--html", "{}/r.html", "--beside", "{}/none.json"], "none.json: can't be read"),
        (["--html", "{}/r.html", "--beside", "{}/none.so"], "none.so: can't be read"),
        (["--html", "{}/r.html", "--beside", "{}/text.json"], "text.json: not JSON"),
        (["--html", "{}/r.html", "--beside", "{}/bench.json"], "bench.json: found no report in it, expected what"),
        (["--html", "{}/r.html", "--beside", "{}/damaged.json"], "damaged.json: its report is damaged"),
        (["--html", "{}/r.html", "--beside", "{}/steps.json"], "its report is damaged (AttributeError"),
    ],
)
def test_wrong_calls(arguments, text, made, tmp_path, capsys):
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "bench.json").write_text('{"median_s": 1}')
    (tmp_path / "damaged.json").write_text('{"plan": {"layers": 3}, "steps": [], "target": "", "notes": []}')
    odd = report_of(["stem"]).to_json()
    odd["steps"][0]["config"] = [1]
    (tmp_path / "steps.json").write_text(json.dumps(odd))
    code, said = fails(capsys, "inspect", made.library, *(word.replace("{}", str(tmp_path)) for word in arguments))
    assert code == 2
    assert text in said
    assert not (tmp_path / "r.html").exists()


def test_a_library_without_a_report(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.cli.inspect.read_description", lambda _: {"version": "0", "report": None})
    code, said = fails(capsys, "inspect", made.library, "--html", tmp_path / "r.html")
    assert code == 2
    assert "it carries no report; compile the model again" in said


def test_without_jinja2(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, said = fails(capsys, "inspect", made.library, "--html", tmp_path / "r.html")
    assert code == 2
    assert "--html needs the package jinja2" in said
