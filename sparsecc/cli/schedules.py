"""``sparsecc schedules``: look at files of records, merge, prune and check them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from sparsecc.cli import arguments
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.table import Column, print_table
from sparsecc.errors import UserError, missing_package
from sparsecc.runtime.files import check_writable

if TYPE_CHECKING:
    from sparsecc.target.records.log import Log

SUMMARY = "list, merge, prune and check files of records"
DESCRIPTION = """\
Work with the files of records that 'sparsecc tune' writes.

  list FILE             the best config of every layer
  merge A B ... -o OUT  all records of several files, each once
  prune FILE -o OUT     only the best record of every layer
  check FILE            name the lines that can't be used; exit code 2 if there are any
"""
EPILOG = """\
examples:
  sparsecc schedules list model.jsonl
  sparsecc schedules merge first.jsonl second.jsonl -o both.jsonl
  sparsecc schedules prune both.jsonl -o best.jsonl
  sparsecc schedules prune both.jsonl -o careful.jsonl --least-gain 0.05
"""
_COLUMNS = (
    Column("layer", left=True),
    Column("target", left=True, drop=2),
    Column("threads", drop=4),
    Column("kernel", left=True, drop=1),
    Column("us"),
    Column("faster"),
    Column("rounds", drop=3),
)
_ACTIONS = ("list", "merge", "prune", "check")


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files of records")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="file to write, for merge and prune")
    parser.add_argument(
        "--least-gain", type=_share, metavar="SHARE",
        help="for prune: where a config takes hardly less time than the cost model's, by less than this share of it, "
        "record the cost model's (default: 0)",
    )  # fmt: skip
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Do what was asked for."""
    _check_call(options)
    try:
        from sparsecc.target.records.log import best_of, cautious, merged, read_log, to_line, write_lines
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    logs = [read_log(path) for path in options.files]
    problems = [problem for log in logs for problem in log.problems]
    for problem in problems:
        say(stderr(), problem)
    if options.action == "merge":
        lines = merged(logs)
    else:
        best = best_of(record for log in logs for record in log.records)
        lines = [to_line(cautious(record, least_gain=options.least_gain or 0.0)) for record in best]
    if options.output is not None:
        write_lines(options.output, lines)
        say(stderr(), f"wrote {options.output}: {len(lines)} records")
    elif options.action == "list":
        _list(logs, as_json=options.json)
    if options.action == "check":
        usable = sum(len(log.records) for log in logs)
        say(stdout(), f"{usable} records can be used, {len(problems)} lines can't")
        return UserError.exit_code if problems else 0
    return 0


def _check_call(options: Namespace) -> None:
    writes = options.action in ("merge", "prune")
    if writes and options.output is None:
        raise UserError(f"schedules {options.action}: name the file to write with -o")
    if not writes and options.output is not None:
        raise UserError(f"schedules {options.action}: writes no file; leave out -o")
    if options.least_gain is not None and options.action != "prune":
        raise UserError(f"schedules {options.action}: --least-gain is for prune; leave it out")
    if options.output is not None:
        check_writable(options.output)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise ArgumentTypeError(f"found {text!r}, expected a share of the time, from 0 to less than 1")
    return share


def _list(logs: list[Log], *, as_json: bool) -> None:
    from sparsecc.target.records.log import best_of

    records = best_of(record for log in logs for record in log.records)
    if as_json:
        print_json([record.to_json() for record in records])
        return
    rows = [
        (
            str(r.layer), r.target, str(r.threads), r.config.label, f"{r.us:.1f}",
            f"{1 / r.relative:.2f}x", str(r.rounds),
        )
        for r in records
    ]  # fmt: skip
    print_table(stdout(), _COLUMNS, rows)
