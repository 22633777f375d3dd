"""Command lines that read a file of results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench.command import parser_of
from bench.results.schema import Results, load


def reader(name: str, description: str) -> argparse.ArgumentParser:
    """Parser of ``python -m bench.<name> RESULTS``."""
    parser = parser_of(name, description)
    parser.add_argument("results", help="JSON that a benchmark wrote")
    return parser


def read_and(
    use: Callable[[Results, argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
) -> int:
    """Load the results and use them; the exit code, 2 when the file is of no use."""
    options = parser.parse_args(arguments)
    try:
        return use(load(options.results), options) or 0
    except (OSError, ValueError) as error:
        print(f"{parser.prog.removeprefix('python -m ')}: {error}", file=sys.stderr)
        return 2
