"""`sparsecc advise`: tables, files and wrong calls."""

from __future__ import annotations

import json

import pytest
import torch
from advise_case import PRUNABLE, Net, X
from page_case import page_of

from sparsecc.advice.result import Advice
from sparsecc.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("advise") / "model.pt2"
    torch.export.save(torch.export.export(Net().eval(), (X,)), path)
    return path


def test_command(model, tmp_path, capsys, advice):
    files = [word for name in ("plot", "json", "html") for word in (f"--{name}", str(tmp_path / f"a.{name}"))]
    files[1] = str(tmp_path / "a.svg")
    assert main(["advise", str(model), "--target", "x86-64-v3", "--n", "4,16", *files]) == 0
    said = capsys.readouterr()
    assert "predict times" in said.err
    assert all(name in said.out for name in PRUNABLE)
    assert "break-even" in said.out
    assert max(map(len, said.out.partition("\npredicted")[0].splitlines())) <= 100
    assert Advice.from_json(json.loads((tmp_path / "a.json").read_text())) == advice
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn.startswith("<?xml")
    assert page_of(tmp_path / "a.html").titles[0] == "model.pt2 what pruning would gain"
    assert len(list(tmp_path.iterdir())) == 3


def test_command_as_json(model, capsys):
    assert main(["advise", str(model), "--target", "rpi4", "--n", "8", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert [net["n"] for net in json.loads(said.out)["nets"]] == [8]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--n", "four"], "found 'four', expected numbers such as 4,8,16"),
        (["--n", "0"], "n: found (0,)"),
        (["--plot", "a.gif"], "suffix '.gif'"),
        (["--html", "a.gif"], "--html: found suffix '.gif'"),
        (["--json", "no/such/folder/a.json"], "the folder does not exist"),
        (["--target", "z80"], "found 'z80'"),
    ],
)
def test_wrong_calls(arguments, text, model, capsys):
    assert main(["advise", str(model), *arguments]) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""
