"""The command line: ``sparsecc compile``, ``inspect``, ``run``, ``bench``, ``advise``, ``tune`` and more.

One command a file, each with ``configure`` (its options) and ``execute`` (its work). PyTorch and TVM are imported only
where a model is read, so that everything about a compiled library works without them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sparsecc.cli.failure import guard
from sparsecc.cli.parser import make_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0 success, 1 unexpected failure, 2 the user's mistake, 3 not supported, 4 a bug of ours, 128 plus
        a signal's number: 130 Ctrl-C, 143 SIGTERM.
    """
    parser = make_parser()
    given = sys.argv[1:] if argv is None else list(argv)
    if not given:
        parser.print_help(sys.stderr)
        return 2
    try:
        options = parser.parse_args(given)
    except SystemExit as stop:  # --help, --version and mistakes, all printed already
        return stop.code if isinstance(stop.code, int) else 0
    return guard(options.execute, options, traceback=options.traceback)
