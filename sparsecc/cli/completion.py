"""``sparsecc completion``: what a shell needs to complete commands and options with the Tab key."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sparsecc.errors import UserError
from sparsecc.target import TARGETS

SUMMARY = "print a script that completes commands in a shell"
DESCRIPTION = """\
Print the script with which bash, zsh or fish complete sparsecc's commands, options, targets and files. It needs the
package shtab: pip install '.[completion]' in sparsecc's folder.
"""
EPILOG = """\
examples:
  sparsecc completion bash
  sparsecc completion zsh
  sparsecc completion fish

where the scripts go:
  bash   ~/.local/share/bash-completion/completions/sparsecc
  zsh    _sparsecc in a folder that is in fpath before compinit runs
  fish   ~/.config/fish/completions/sparsecc.fish
"""
SHELLS = ("bash", "zsh", "fish")


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")


def execute(options: Namespace) -> int:
    """Print the script."""
    shtab, parser = _shtab(), options.make_parser()
    for command in _commands(parser):
        _complete_words(command, shtab)
    print(shtab.complete(parser, options.shell))
    return 0


def _shtab() -> ModuleType:
    try:
        shtab = import_module("shtab")
    except ModuleNotFoundError as error:
        raise UserError(
            "completion needs the package shtab, which is not installed; in sparsecc's folder: "
            "pip install '.[completion]'"
        ) from error
    return shtab


def _commands(parser: ArgumentParser) -> list[ArgumentParser]:
    """The parsers of all commands, and of commands of commands."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            found += [inner for command in action.choices.values() for inner in _commands(command)]
    return found


def _complete_words(parser: ArgumentParser, shtab: ModuleType) -> None:
    """Say which options take files, and what targets are called."""
    for action in parser._actions:
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif "--target" in action.option_strings:
            action.choices = ["native", *TARGETS]
