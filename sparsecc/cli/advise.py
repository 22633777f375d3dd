"""``sparsecc advise``: how fast a model would be if it were pruned."""

from __future__ import annotations

import json
import textwrap
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from sparsecc.cli import arguments
from sparsecc.cli.advise_plot import write_advice_plot
from sparsecc.cli.compiler import load_compiler
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.page import add_html, check_html
from sparsecc.cli.progress import ADVISE, Stages
from sparsecc.cli.table import Column, legend, print_table
from sparsecc.cli.tune_plot import check_plot
from sparsecc.errors import UserError
from sparsecc.page import write_advice
from sparsecc.runtime.files import check_writable, new_file

if TYPE_CHECKING:
    from sparsecc.advice.result import Advice

SUMMARY = "predict what pruning a model would gain, before any training"
DESCRIPTION = """\
Predict, by the compiler's own cost model, how fast a model would be on one core if it were pruned with blocks of N
output channels: the whole network at each sparsity, and for every layer its speed-up and the sparsities between which
pruning it is of use. The model's weights are not looked at, and nothing is compiled.
"""
EPILOG = """\
examples:
  sparsecc advise model.pt2
  sparsecc advise model.pt2 --target rpi4 --n 4,8
  sparsecc advise model.pt2 --plot advice.svg --json advice.json
  sparsecc advise model.pt2 --html advice.html
"""
_PRINT = "-"
#: sparsities whose times say most, the first of them first
_SHARES = (0.75, 0.5, 0.9, 0.95, 0.8, 0.6, 0.7, 0.4, 0.3, 0.2, 0.1)
#: the column of the first N's speed-up; that of its useful range is the next one
_FIRST_N = 5


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", type=Path, metavar="MODEL.pt2", help="exported model (.pt2), or an ONNX file")
    arguments.add_shape(parser)
    arguments.add_target(parser)
    parser.add_argument(
        "--n", type=_numbers, default=(4, 8, 16), metavar="N,N", help="output channels of a block (default: 4,8,16)"
    )
    parser.add_argument(
        "--min-speedup",
        type=float,
        default=1.05,
        metavar="X",
        help="layers become sparse when that speed-up over dense is predicted (default: %(default)s)",
    )
    parser.add_argument("--no-winograd", action="store_true", help="3x3 convolutions without Winograd's algorithm")
    arguments.add_max_growth(parser)
    arguments.add_schedules(parser)
    add_html(parser, beside=False)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw speed-ups over sparsity: .svg, .png or .pdf")
    parser.add_argument(
        "--json",
        nargs="?",
        const=_PRINT,
        metavar="FILE",
        help="write one JSON document; without a file, print it and nothing else",
    )


def execute(options: Namespace) -> int:
    """Predict and print."""
    check_html(options)
    if options.plot is not None:
        check_plot(options.plot)
    if options.json not in (None, _PRINT):
        _check_json(options.json)
    with Stages(stderr(), quiet=options.json == _PRINT, usual=ADVISE) as stages:
        stages("start")
        load_compiler(for_model=options.model)
        from sparsecc.advice.advise import advise

        advice = advise(
            options.model,
            options.target,
            options.n,
            shapes=arguments.one_shape_of(options),
            min_speedup=options.min_speedup,
            winograd=not options.no_winograd,
            max_growth=options.max_growth,
            schedules=arguments.schedules_of(options),
            progress=stages,
        )
    if options.plot is not None:
        write_advice_plot(options.plot, advice, title=f"{options.model.name}, {advice.target}, one core, predicted")
    if options.html is not None:
        write_advice(options.html, options.model.name, advice)
        say(stderr(), f"wrote {options.html}")
    if options.json == _PRINT:
        print_json(advice.to_json())
        return 0
    if options.json is not None:
        with new_file(options.json) as file:
            file.write(json.dumps(advice.to_json(), indent=2).encode())
    print_advice(stdout(), advice)
    return 0


def _check_json(path: str) -> None:
    if path.endswith((".pt2", ".onnx")):
        raise UserError(f"--json: found {path}, which is called like a model; expected a name such as advice.json")
    check_writable(path)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"found {text!r}, expected numbers such as 4,8,16") from error


def print_advice(console: Console, advice: Advice) -> None:
    """Print the network's times, a line for each layer, and what the columns mean."""
    from sparsecc.advice.table import closing, layer_rows, legend_parts, net_rows

    heads, *rows = net_rows(advice)
    drops = [0, *map(_drop_share, advice.sparsities), 0]
    columns = [Column(head, left=not i, drop=drops[i], whole=True) for i, head in enumerate(heads)]
    print_table(console, columns, rows)
    if advice.layers:
        say(console)
        heads, *rows = layer_rows(advice)
        columns = [Column(head, left=not i, drop=_drop(head, i)) for i, head in enumerate(heads)]
        shown = print_table(console, columns, [[_cell(cell) for cell in row] for row in rows])
        say(console)
        for line in textwrap.wrap(legend(legend_parts(advice), shown), console.width):
            say(console, line, style="dim")
    say(console)
    for note in advice.notes:
        for line in textwrap.wrap(note, console.width):
            say(console, line)
    say(console, closing(advice))


def _drop_share(share: float) -> int:
    """Which times go first where the terminal is narrow; the dense one stays."""
    return 0 if share == 0 else 1 + _SHARES.index(share) if share in _SHARES else 1 + len(_SHARES)


def _drop(head: str, place: int) -> int:
    """Which columns go first: those of larger N go before what is said of the first one."""
    fixed = {"layer": 0, "weight": 103, "output": 102, "bound by": 101, "us": 1}
    return fixed[head] if head in fixed else place if place > _FIRST_N + 1 else 0


def _cell(text: str) -> Text:
    return Text(text, style="dim" if text == "-" else "")
