"""The argument parser of the whole command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

import sparsecc
from sparsecc.cli import advise, bench, compile, completion, doctor, inspect, run, schedules, targets, tune
from sparsecc.cli.arguments import add_traceback
from sparsecc.text import printable

#: in the order of ``sparsecc --help``; the module's name is the command
COMMANDS: tuple[ModuleType, ...] = (
    compile, inspect, run, bench, advise, tune, schedules, targets, doctor, completion,
)  # fmt: skip

_EPILOG = """\
examples:
  sparsecc compile model.pt2 -o model.so
  sparsecc inspect model.so
  sparsecc bench model.so --layers

exit codes: 0 success, 2 a mistake in the call, 3 not supported, 4 a bug of sparsecc, 1 anything else, 130 Ctrl-C,
143 SIGTERM
"sparsecc COMMAND --help" says more about a command.
"""


#: what files of models are called: no option whose words are optional takes one
_MODEL = (".pt2", ".onnx")


class Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported, and takes no model for an option's optional word."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse with the model first, wherever it stood: in ``--json MODEL.pt2`` it is no file for ``--json``."""
        given = sys.argv[1:] if args is None else list(args)
        words = self._free_words(given)
        self._greedy = tuple(dict.fromkeys(option for _, option in words if option))
        models = [(i, option) for i, option in words if given[i].endswith(_MODEL)]
        if len(models) == 1 and models[0][1]:  # of two, which is which is not clear: the command says so
            given.insert(0, given.pop(models[0][0]))
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        if message.startswith("the following arguments are required") and self._greedy:
            message += f" ({' and '.join(self._greedy)} took the words after it: write the others first)"
        self.exit(2, f"error: {printable(message)}; see {self.prog} --help\n")

    #: options that took words which they could have done without
    _greedy: Sequence[str] = ()

    def _free_words(self, given: Sequence[str]) -> list[tuple[int, str]]:
        """Position of every word that no option must have, and the option that takes it all the same, or nothing."""
        found, option, must, may = [], "", 0, 0
        for i, word in enumerate(given):
            if word == "--":
                break
            if word.startswith("-") and word != "-":
                action = self._option_string_actions.get(word)
                nargs = 0 if action is None else action.nargs
                option, must = word, int(nargs is None)
                may = {"?": 1, "+": len(given)}.get(str(nargs), 0)
            elif must:
                must -= 1
            else:
                found.append((i, option if may > 0 else ""))
                may -= 1
        return found


def make_parser() -> argparse.ArgumentParser:
    """Return a parser whose result has ``execute``, the chosen command."""
    parser = Parser(
        prog="sparsecc",
        description="Compiles block-sparse CNNs, from PyTorch or ONNX, to fast standalone libraries.",
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
    command.set_defaults(execute=module.execute, make_parser=make_parser)
