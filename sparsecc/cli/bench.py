"""``sparsecc bench``: how fast a library is on this machine, and where the time goes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsecc.cli import arguments
from sparsecc.cli.compiler import load_compiler, refuse_no_library
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.elsewhere import time_elsewhere
from sparsecc.cli.machine import cpu_name
from sparsecc.cli.page import add_html, check_html, measured_side, other_side, stored, write_page
from sparsecc.cli.progress import COMPILE, Stages
from sparsecc.cli.shapes import asked_shape
from sparsecc.cli.steps_view import joined, print_steps
from sparsecc.cli.steps_view import steps_of as timed_steps
from sparsecc.cli.timing import BUDGET_S, WARM_UP_S, Times, random_inputs, time_runs
from sparsecc.cli.units import in_ms, shape_text
from sparsecc.errors import UserError
from sparsecc.page import Side
from sparsecc.runtime import Library, load, read_description
from sparsecc.runtime.checks import description_text
from sparsecc.runtime.shapes import Shape, reported, shapes_of, steps_of
from sparsecc.runtime.stored_report import StoredReport
from sparsecc.text import in_bytes

SUMMARY = "measure how fast a library runs"
DESCRIPTION = """\
Run a library on random input and show the median time and its spread; with --layers also where the time goes. A model
is compiled first, for this machine; --impose prunes a copy of it before, to see its speed without training it.
"""
EPILOG = """\
examples:
  sparsecc bench model.so
  sparsecc bench model.so --threads 1 --runs 200
  sparsecc bench model.so --layers --sort
  sparsecc bench model.pt2 --impose 4:0.75
  sparsecc bench model.so --batch 8
  sparsecc bench out/model.so --runner 'ssh pi@raspberrypi' --layers
  sparsecc bench model.so --html report.html --beside dense.so
"""


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "library", type=Path, metavar="MODEL.so|MODEL.pt2", help="compiled library, exported model (.pt2), or ONNX file"
    )
    arguments.add_shape(parser)
    arguments.add_batch(
        parser, use="leading dimension of all inputs, of a model or of a library that has several (default: the first)"
    )
    arguments.add_impose(parser)
    parser.add_argument(
        "--runs", type=arguments.whole_from(1), metavar="N", help="timed runs (default: about 3 seconds of them)"
    )
    arguments.add_threads(parser, use="a run")
    parser.add_argument(
        "--runner",
        metavar="COMMAND",
        help="run it elsewhere: words to put before the program; 'ssh pi@host' copies it there. Needs the _bench "
        "program beside the library: compile to a folder",
    )
    parser.add_argument("--layers", action="store_true", help="also time every layer, in the network's order")
    parser.add_argument("--sort", action="store_true", help="the slowest layers first; implies --layers")
    add_html(parser)
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Measure and print."""
    check_html(options)
    is_model = options.library.suffix in (".pt2", ".onnx")
    if options.impose and not is_model:
        raise UserError(f"{options.library}: --impose is for models (.pt2, .onnx); a library is compiled already")
    if options.batch and len(options.batch) > 1:
        raise UserError(f"--batch: found {len(options.batch)} batches, expected one to measure")
    if not is_model:
        refuse_no_library(options.library)
    if options.runner is None:
        return _execute_here(options, is_model=is_model)
    if is_model:
        raise UserError(
            f"{options.library}: --runner is for libraries; compile the model to a folder first (sparsecc compile "
            "MODEL.pt2 -o out/)"
        )
    return _execute_elsewhere(options)


def _execute_here(options: Namespace, *, is_model: bool) -> int:
    with (
        Stages(stderr(), quiet=options.json, usual=_usual(options, is_model=is_model)) as stages,
        _compiled(options, stages) if is_model else load(options.library, threads=options.threads) as library,
    ):
        first = library.shapes[0]
        shape = first if is_model else asked_shape(library.shapes, options, find=library.shape_of)
        document, steps = _timed(options, library, shape, stages)
        if options.html is not None:
            report = stored(library.description, options.library)
            _write_page(options, measured_side(document, steps, report, title=options.library.name), stages)
    if options.json:
        print_json(document)
    else:
        _print(stdout(), document, options.library, shape.sizes)
    return 0


def _usual(options: Namespace, *, is_model: bool) -> Mapping[str, float]:
    """Seconds of the stages; of a number of runs nobody knows how long they take."""
    before = {name: seconds for name, seconds in COMPILE.items() if name != "save"} if is_model else {}
    if options.runs is not None:
        return before
    timed = options.layers or options.sort or options.html is not None
    return before | {"time runs": BUDGET_S + WARM_UP_S} | ({"time layers": BUDGET_S} if timed else {})


def _timed(
    options: Namespace, library: Library, shape: Shape, stages: Stages
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What is printed, and times of all steps where they are wanted."""
    inputs = random_inputs(shape)
    stages("time runs")
    times = time_runs(library, inputs, runs=options.runs)
    document, steps = _document(options, library, times), []
    if options.layers or options.sort or options.html is not None:
        stages("time layers")
        steps = timed_steps(library, inputs, runs=len(times.seconds), by_time=options.sort)
    return document | ({"layers": steps} if options.layers or options.sort else {}), steps


def _write_page(options: Namespace, side: Side, stages: Stages) -> None:
    others = [] if options.beside is None else [_beside(options, stages)]
    write_page(options.html, [side, *others])
    say(stderr(), f"wrote {options.html}")


def _beside(options: Namespace, stages: Stages) -> Side:
    """The other report; with its times where it is that of a library and the first one runs here."""
    if options.beside.suffix == ".json" or options.runner is not None:
        return other_side(options.beside)
    with load(options.beside, threads=options.threads) as library:
        document, steps = _timed(options, library, library.shapes[0], stages)
        report = stored(library.description, options.beside)
        return measured_side(document, steps, report, title=options.beside.name)


def _compiled(options: Namespace, stages: Stages) -> Library:
    stages("start")
    compiler = load_compiler(for_model=options.library)
    compiled = compiler.compile(
        options.library,
        shapes=arguments.shapes_of(options),
        batch=options.batch,
        threads=options.threads,
        impose=options.impose,
        progress=stages,
    )
    library: Library = compiled.library
    return library


def _execute_elsewhere(options: Namespace) -> int:
    description = read_description(options.library)
    with Stages(stderr(), quiet=options.json) as stages:
        stages("time runs")
        text = description_text(options.library)
        shape = asked_shape(shapes_of(description), options)
        found = time_elsewhere(
            options.library, options.runner, text, threads=options.threads, runs=options.runs, shape=shape.number
        )
    document = {
        "library": str(options.library),
        "target": description["target"],
        "version": description["version"],
        "cpu": found.cpu,
        "threads": found.threads,
        "memory_bytes": found.memory_bytes,
        **_statistics(Times(found.runs)),
    }
    times = list(zip((step["key"] for step in steps_of(description, shape)), found.steps, strict=True))
    has_report = description.get("report") is not None
    report = StoredReport(reported(description, shape), library=str(options.library)) if has_report else None
    if options.layers or options.sort:
        document["layers"] = joined(times, report, by_time=options.sort)
    if options.html is not None:
        known, steps = stored(description, options.library), joined(times, report, by_time=False)
        _write_page(options, measured_side(document, steps, known, title=options.library.name), stages)
    if options.json:
        print_json(document)
    else:
        _print(stdout(), document, options.library, shape.sizes)
    return 0


def _document(options: Namespace, library: Library, times: Times) -> dict[str, Any]:
    pattern = None if options.impose is None else {"n": options.impose[0], "sparsity": options.impose[1]}
    return {
        "library": str(options.library),
        **({} if pattern is None else {"impose": pattern}),
        "target": library.target,
        "version": library.description["version"],
        "cpu": cpu_name(),
        "threads": library.threads,
        **_statistics(times),
    }


def _statistics(times: Times) -> dict[str, Any]:
    return {
        "runs": len(times.seconds),
        "median_s": times.median,
        "p10_s": times.percentile(10),
        "p90_s": times.percentile(90),
        "min_s": times.seconds[0],
        "steady": times.steady,
    }


def _print(console: Console, document: dict[str, Any], path: Path, shapes: Sequence[Sequence[int]]) -> None:
    if "layers" in document:
        print_steps(console, document["layers"])
        say(console)
    inputs = ", ".join(map(shape_text, shapes))
    threads = f"{document['threads']} thread{'' if document['threads'] == 1 else 's'}"
    pattern = document.get("impose")
    imposed = f", 1x{pattern['n']} pattern at {100 * pattern['sparsity']:g} %" if pattern else ""
    say(console, f"{path.name} for {document['target']}{imposed}, input {inputs}")
    say(console, f"{document['cpu']}, {threads}, {document['runs']} runs after a warm-up")
    if "memory_bytes" in document:
        say(console, f"{in_bytes(document['memory_bytes'])} of memory at most, the program and its weights included")
    spread = f"p10..p90 {in_ms(document['p10_s'])} to {in_ms(document['p90_s'])} ms"
    say(console, f"median {in_ms(document['median_s'])} ms, {spread}", style="bold")
    if not document["steady"]:
        say(stderr(), spread_warning(document))


def spread_warning(document: Mapping[str, Any]) -> str:
    """What to do about runs that differ so much that their median says little."""
    times = document["p90_s"] / document["p10_s"]
    fewer = "" if document["threads"] == 1 else ", or take fewer threads (--threads 1)"
    return (
        f"warning: the slow runs (p90) took {times:.1f} times what the quick ones (p10) took, so the median says "
        f"little; stop other programs on this machine{fewer}, and measure again; the quickest run took "
        f"{in_ms(document['min_s'])} ms"
    )
