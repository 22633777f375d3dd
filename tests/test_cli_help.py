"""The command line's help, wrong calls, and what it imports."""

from __future__ import annotations

import gc
import re
import shlex
import subprocess
import sys

import pytest
from cli_case import ROOT, fails

import sparsecc
from sparsecc.cli import main
from sparsecc.cli.compiler import few_collections
from sparsecc.cli.parser import COMMANDS, make_parser

NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_help_of_every_command_has_examples(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.partition("examples:\n")[2].count(f"  sparsecc {name}") >= 2


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"\n    {name}\s", said) for name in NAMES)


def test_examples_of_the_help_parse():
    lines = [shlex.split(line) for module in COMMANDS for line in module.EPILOG.splitlines() if "  sparsecc " in line]
    for line in lines:
        assert make_parser().parse_args(line[1:]).execute


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sparsecc {sparsecc.__version__}\n"


def test_nothing_to_do_prints_help(capsys):
    assert main([]) == 2
    assert "usage: sparsecc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("advise --json m.pt2", {"model": "m.pt2", "json": "-"}),
        ("advise m.pt2 --json", {"model": "m.pt2", "json": "-"}),
        ("advise --json - m.pt2", {"model": "m.pt2", "json": "-"}),
        ("advise --json a.json m.pt2", {"model": "m.pt2", "json": "a.json"}),
        ("advise m.pt2 --json a.json", {"model": "m.pt2", "json": "a.json"}),
        ("advise --json=a.json m.pt2", {"model": "m.pt2", "json": "a.json"}),
        ("advise --n 4 --json m.pt2 --plot a.svg", {"model": "m.pt2", "json": "-", "plot": "a.svg"}),
        ("compile --keep-dense a 'b*' m.pt2 -o m.so", {"model": "m.pt2", "keep_dense": ["a", "b*"]}),
        ("compile m.pt2 -o m.so --keep-dense a 'b*'", {"model": "m.pt2", "keep_dense": ["a", "b*"]}),
        ("compile -o out.pt2 --keep-dense a m.pt2", {"model": "m.pt2", "output": "out.pt2", "keep_dense": ["a"]}),
        ("inspect --keep-dense a m.pt2 --json", {"file": "m.pt2", "keep_dense": ["a"], "json": True}),
    ],
)
def test_a_model_is_no_optional_word_of_an_option(line, expected):
    found = vars(make_parser().parse_args(shlex.split(line)))
    assert {name: found[name] if name in ("keep_dense", "json") else str(found[name]) for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("advise --json a.json", "required: MODEL.pt2 (--json took the words after it: write the others first)"),
        ("compile -o m.so --keep-dense a model", "MODEL.pt2 (--keep-dense took the words after it"),
        ("advise m.pt2 --json other.pt2", "--json: found other.pt2, which is called like a model"),
        ("advise --json m.pt2 other.pt2", "--json: found m.pt2, which is called like a model"),
        ("advise --json=m.pt2 m.pt2", "--json: found m.pt2, which is called like a model"),
        ("advise --json m.pt2 -- other.pt2", "unrecognized arguments: -- other.pt2"),
    ],
)
def test_optional_words_that_are_not_clear(line, said, capsys):
    code, error = fails(capsys, *shlex.split(line))
    assert code == 2
    assert said in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["paint"],
        ["compile", "m.pt2"],
        ["compile", "m.pt2", "-o", "m.so", "--no-verify", "--tolerance", "1e-3"],
        ["run", "m.so", "--input", "x.npy"],
        ["bench", "m.so", "--runs", "many"],
        ["bench", "m.so", "--run", "3"],
    ],
)
def test_wrong_calls(arguments, capsys):
    code, said = fails(capsys, *arguments)
    assert code == 2
    assert said.startswith("error: ")
    assert "--help" in said


LIGHT = """\
import sys
from sparsecc.cli import main
for arguments in {calls}:
    assert main(arguments) == 0, arguments
    heavy = {{"torch", "tvm", "onnx", "sympy"}} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""


def test_commands_that_read_no_model_import_no_compiler(made, tmp_path):
    library = str(made.library)
    calls = [["--help"], ["targets"], ["completion", "bash"], ["inspect", library], ["doctor"], ["doctor", "--json"]]
    outputs = ["--output", str(tmp_path / "a.npy"), "--output", str(tmp_path / "b.npy")]
    calls.append(["run", library, "--input", str(made.x), "--input", str(made.y), *outputs])
    done = subprocess.run([sys.executable, "-c", LIGHT.format(calls=calls)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_garbage_is_searched_for_rarely_only_while_a_model_is_read():
    before = gc.get_threshold()
    with few_collections():
        assert gc.get_threshold() == (100_000, *before[1:])
    assert gc.get_threshold() == before
    with pytest.raises(ZeroDivisionError), few_collections():
        raise ZeroDivisionError
    assert gc.get_threshold() == before
