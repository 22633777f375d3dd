"""The command line's help, wrong calls, and what it imports."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest
from cli_case import ROOT, fails

import sparsecc
from sparsecc.cli import main
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


def test_commands_do_not_import_the_compiler():
    code = "import sys; import sparsecc.cli; sys.exit(bool({'torch', 'tvm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
