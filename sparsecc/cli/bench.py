"""``sparsecc bench``: how fast a library is on this machine, and where the time goes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsecc.cli import arguments
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.machine import cpu_name
from sparsecc.cli.progress import Stages
from sparsecc.cli.steps_view import print_steps, steps_of
from sparsecc.cli.timing import Times, random_inputs, time_runs
from sparsecc.cli.units import in_ms, shape_text
from sparsecc.runtime import Library, load

SUMMARY = "measure how fast a library runs"
DESCRIPTION = """\
Run a library on random input and show the median time and its spread; with --layers also where the time goes.
"""
EPILOG = """\
examples:
  sparsecc bench model.so
  sparsecc bench model.so --threads 1 --runs 200
  sparsecc bench model.so --layers --sort
"""


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("library", type=Path, metavar="MODEL.so", help="compiled library")
    parser.add_argument("--runs", type=int, metavar="N", help="timed runs (default: about 3 seconds of them)")
    arguments.add_threads(parser, use="a run")
    parser.add_argument("--layers", action="store_true", help="also time every layer, in the network's order")
    parser.add_argument("--sort", action="store_true", help="the slowest layers first; implies --layers")
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Measure and print."""
    with (
        load(options.library, threads=options.threads) as library,
        Stages(stderr(), quiet=options.json) as stages,
    ):
        inputs = random_inputs(library)
        stages("time runs")
        times = time_runs(library, inputs, runs=options.runs)
        steps = None
        if options.layers or options.sort:
            stages("time layers")
            steps = steps_of(library, inputs, runs=len(times.seconds), by_time=options.sort)
        document = _document(library, times) | ({} if steps is None else {"layers": steps})
    if options.json:
        print_json(document)
    else:
        _print(stdout(), document, library)
    return 0


def _document(library: Library, times: Times) -> dict[str, Any]:
    return {
        "library": str(library.path),
        "target": library.target,
        "version": library.description["version"],
        "cpu": cpu_name(),
        "threads": library.threads,
        "runs": len(times.seconds),
        "median_s": times.median,
        "p10_s": times.percentile(10),
        "p90_s": times.percentile(90),
        "min_s": times.seconds[0],
    }


def _print(console: Console, document: dict[str, Any], library: Library) -> None:
    if "layers" in document:
        print_steps(console, document["layers"])
        say(console)
    inputs = ", ".join(shape_text(port.shape) for port in library.inputs)
    threads = f"{document['threads']} thread{'' if document['threads'] == 1 else 's'}"
    say(console, f"{library.path.name} for {library.target}, input {inputs}")
    say(console, f"{document['cpu']}, {threads}, {document['runs']} runs after a warm-up")
    spread = f"p10..p90 {in_ms(document['p10_s'])} to {in_ms(document['p90_s'])} ms"
    say(console, f"median {in_ms(document['median_s'])} ms, {spread}", style="bold")
