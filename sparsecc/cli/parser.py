"""The argument parser of the whole command line."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import NoReturn

import sparsecc
from sparsecc.cli import advise, bench, compile, inspect, run, schedules, targets, tune
from sparsecc.cli.arguments import add_traceback

#: in the order of ``sparsecc --help``; the module's name is the command
COMMANDS: tuple[ModuleType, ...] = (compile, inspect, run, bench, advise, tune, schedules, targets)

_EPILOG = """\
examples:
  sparsecc compile model.pt2 -o model.so
  sparsecc inspect model.so
  sparsecc bench model.so --layers

exit codes: 0 success, 2 a mistake in the call, 3 not supported, 4 a bug of sparsecc, 1 anything else, 130 Ctrl-C
"sparsecc COMMAND --help" says more about a command.
"""


class Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """Return a parser whose result has ``execute``, the chosen command."""
    parser = Parser(
        prog="sparsecc",
        description="Compiles block-sparse PyTorch CNNs to fast standalone libraries.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sparsecc {sparsecc.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        _add_command(commands, module)
    return parser


def _add_command(commands: argparse._SubParsersAction[Parser], module: ModuleType) -> None:
    command = commands.add_parser(
        module.__name__.rpartition(".")[2],
        help=module.SUMMARY,
        description=module.DESCRIPTION,
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(command)
    add_traceback(command)
    command.set_defaults(execute=module.execute)
