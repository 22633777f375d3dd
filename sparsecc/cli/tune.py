"""``sparsecc tune``: search for the fastest configs on the device."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sparsecc.cli import arguments
from sparsecc.cli.compiler import load_compiler
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.table import Column, print_table
from sparsecc.cli.tune_plot import check_plot, write_plot
from sparsecc.cli.tune_view import TuneView
from sparsecc.cli.units import in_ms
from sparsecc.errors import InternalError, UserError, missing_package

if TYPE_CHECKING:
    from sparsecc.tuning.runners import Runner
    from sparsecc.tuning.tune import Tuned

SUMMARY = "search for the fastest kernels on the device"
DESCRIPTION = """\
Measure candidates for every kernel of a model on the device itself, and keep each measurement in a file of records.
The same command goes on where a search was cut off. Compile with: sparsecc compile MODEL.pt2 --schedules LOG
"""
EPILOG = """\
examples:
  sparsecc tune model.pt2 --log model.jsonl --trials 500
  sparsecc tune model.pt2 --log v3.jsonl --target x86-64-v3 --threads 2 --minutes 10
  sparsecc tune model.pt2 --log pi.jsonl --target aarch64 --runner 'ssh pi@raspberrypi'
  sparsecc tune model.pt2 --log pi.jsonl --target aarch64 --tracker 192.168.0.1:9190 --key rpi4
"""
_COLUMNS = (
    Column("kernel", left=True),
    Column("layers", drop=2),
    Column("tried", drop=3),
    Column("cost model, us"),
    Column("best, us"),
    Column("faster"),
)


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", type=Path, metavar="MODEL.pt2", help="exported model (.pt2), or an ONNX file")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE", help="records, read and added to (.jsonl)")
    parser.add_argument(
        "--trials",
        type=arguments.whole_from(1),
        default=1000,
        metavar="N",
        help="candidates to measure (default: %(default)s)",
    )
    parser.add_argument("--minutes", type=float, metavar="X", help="stop the search after so many minutes")
    arguments.add_shape(parser)
    arguments.add_target(parser)
    parser.add_argument(
        "--threads",
        type=arguments.whole_from(1),
        default=1,
        metavar="N",
        help="threads that kernels are timed on (default: %(default)s)",
    )
    where = parser.add_argument_group("where to measure (default: this machine)")
    where.add_argument(
        "--runner", metavar="COMMAND", help="put before the measuring program: 'ssh pi@host' copies it there"
    )
    where.add_argument("--tracker", metavar="HOST:PORT", help="a TVM RPC tracker, whose devices share the work")
    where.add_argument("--key", metavar="NAME", help="the tracker's name for the devices")
    arguments.add_choices(parser)
    parser.add_argument(
        "--seed", type=arguments.whole_from(0), default=0, help="of the random part of the search (default: 0)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the whole network's time over trials")
    parser.add_argument("--cc", help="C compiler to link with (default: $SPARSECC_CC, else ziglang)")
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Search, then print what was found."""
    if options.plot is not None:
        check_plot(options.plot)
    _check_runner(options)
    load_compiler(for_model=options.model)
    try:
        from sparsecc.tuning.tune import tune

        runner = _runner(options)
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    with TuneView(stderr(), options.trials, options.log, quiet=options.json) as view:
        tuned = tune(
            options.model,
            options.target,
            shapes=arguments.one_shape_of(options),
            log=options.log,
            trials=options.trials,
            threads=options.threads,
            minutes=options.minutes,
            runner=runner,
            keep_dense=options.keep_dense,
            min_speedup=options.min_speedup,
            winograd=not options.no_winograd,
            max_growth=options.max_growth,
            seed=options.seed,
            cc=options.cc,
            on_start=view.start,
            on_event=view.event,
        )
    if options.json:
        print_json(_document(tuned))
    else:
        _print(stdout(), tuned)
    if options.plot is not None:
        write_plot(options.plot, view.history, title=f"{options.model.name}, {options.target}")
    if tuned.bugs:
        raise InternalError("\n".join(tuned.bugs))
    return 0


def _check_runner(options: Namespace) -> None:
    if (options.tracker is None) != (options.key is None):
        raise UserError("--tracker and --key go together: where the tracker is, and its name for the devices")
    if options.tracker is not None and options.runner is not None:
        raise UserError("--runner and --tracker exclude each other")


def _runner(options: Namespace) -> str | Runner | None:
    if options.tracker is None:
        return None if options.runner is None else str(options.runner)
    from sparsecc.tuning.runners.tracker import TrackerRunner

    return TrackerRunner(options.tracker, options.key, cc=options.cc)


def _document(tuned: Tuned) -> dict[str, Any]:
    return {
        "log": str(tuned.log),
        "default_ms": tuned.default_ms,
        "ms": tuned.ms,
        "layers": [asdict(layer) for layer in tuned.layers],
        "joins": [asdict(pair) for pair in tuned.joins],
        "algorithms": [asdict(layer) for layer in tuned.algorithms],
        "bugs": list(tuned.bugs),
    }


def _algorithms(tuned: Tuned) -> str:
    """``4x4 sparse 10, direct dense 3``."""
    count = Counter[str]()
    for layer in tuned.algorithms:
        tile, sparse = layer.config["tile"], layer.config["sparse"]
        name = f"{tile}x{tile}" if tile else "direct"
        count[f"{name} {'sparse' if sparse else 'dense'}"] += len(layer.names)
    return ", ".join(f"{name} {layers}" for name, layers in count.most_common())


def _print(console: Console, tuned: Tuned) -> None:
    rows = []
    for layer in tuned.layers:
        times = ("-", "-", "not measured")
        if layer.us is not None and layer.default_us is not None:
            times = (f"{layer.default_us:.1f}", f"{layer.us:.1f}", f"{layer.default_us / layer.us:.2f}x")
        rows.append((layer.layer, str(len(layer.names)), str(layer.tried), *times))
    print_table(console, _COLUMNS, rows)
    say(console)
    if tuned.algorithms:
        say(console, f"algorithms of 3x3 convolutions: {_algorithms(tuned)}")
    if tuned.joins:
        pairs = sum(len(pair.names) for pair in tuned.joins)
        joined = sum(len(pair.names) for pair in tuned.joins if pair.config["joined"])
        say(console, f"pairs of a convolution and the window kernel after it: {joined} of {pairs} are one kernel")
    if tuned.ms:
        gain = f"{tuned.default_ms / tuned.ms:.2f}x"
        say(
            console,
            f"all of them: {in_ms(tuned.default_ms / 1e3)} ms, tuned {in_ms(tuned.ms / 1e3)} ms ({gain})",
            style="bold",
        )
    say(console, f"records: {tuned.log}")
