"""``sparsecc inspect``: what would be done with a model, or what a library carries."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from sparsecc.cli import arguments
from sparsecc.cli.compiler import few_collections, load_compiler
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.library_view import library_document, print_library
from sparsecc.cli.page import add_html, check_html, other_side, stored, write_page
from sparsecc.cli.plan_view import print_plan
from sparsecc.cli.progress import FORECAST, INSPECT, Stages
from sparsecc.errors import UserError
from sparsecc.page import Side
from sparsecc.report import Report
from sparsecc.runtime import read_description
from sparsecc.target import resolve
from sparsecc.text import in_bytes
from sparsecc.untrusted import open_file

SUMMARY = "show the plan of a model, or what a library carries"
DESCRIPTION = """\
Of a model, show the block structure of every layer and what compile would do with it. Of a library, show its inputs
and outputs, its size, what it needs to run, and the report of its compilation; the library may be for another machine.
"""
EPILOG = """\
examples:
  sparsecc inspect model.pt2
  sparsecc inspect model.pt2 --target x86-64-v3 --keep-dense 'head.*'
  sparsecc inspect model.pt2 --impose 4:0.75
  sparsecc inspect model.so --json
  sparsecc inspect model.so --html report.html
  sparsecc inspect dense.so --html report.html --beside pruned.so
"""
_ELF, _ARCHIVE = b"\x7fELF", b"!<arch>"


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "file", type=Path, metavar="MODEL.pt2|MODEL.so", help="exported model (.pt2), ONNX file, or compiled library"
    )
    arguments.add_shape(parser)
    arguments.add_target(parser, default=None)
    arguments.add_choices(parser)
    arguments.add_impose(parser)
    arguments.add_schedules(parser)
    add_html(parser)
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Print the plan or the library's description."""
    check_html(options)
    return _library(options) if _is_library(options.file) else _model(options)


def _is_library(path: Path) -> bool:
    """By its first bytes; a file that can't be read, by its suffix: the error of its kind comes later."""
    try:
        with open_file(path, most_bytes=1 << 62) as file:
            start = file.read(8)
    except OSError:
        start = b""
    if start.startswith(_ARCHIVE):
        raise UserError(f"{path}: a static library carries no description that can be read; inspect a .so")
    return start.startswith(_ELF) or path.suffix == ".so"


def _library(options: Namespace) -> int:
    if options.target or options.keep_dense or options.impose or options.shape or options.schedules != "shipped":
        raise UserError(
            f"{options.file}: --target, --keep-dense, --impose, --shape and --schedules are for models; a library is "
            "compiled already"
        )
    description = read_description(options.file)
    if options.html is not None:
        made_by = f"sparsecc {description['version']}"
        about = {"file": in_bytes(options.file.stat().st_size), "made by": made_by}
        _write_page(options, Side(options.file.name, stored(description, options.file), about=about))
    if options.json:
        print_json(library_document(options.file, description))
    else:
        print_library(stdout(), options.file, description)
    return 0


def _model(options: Namespace) -> int:
    target = options.target or "native"
    name = resolve(target).name
    with Stages(stderr(), quiet=options.json, usual=FORECAST if options.html else INSPECT) as stages:
        stages("start")
        load_compiler(for_model=options.file)
        from sparsecc.analyse.impose import pattern_of
        from sparsecc.forecast import forecast, inspect
        from sparsecc.options import Options

        shapes = arguments.one_shape_of(options)
        choices: dict[str, Any] = {
            "keep_dense": options.keep_dense,
            "min_speedup": options.min_speedup,
            "winograd": not options.no_winograd,
            "max_growth": options.max_growth,
            "schedules": arguments.schedules_of(options),
        }
        if options.html is None:
            stages("inspect")
            with few_collections():
                plan = inspect(options.file, target, shapes=shapes, impose=options.impose, **choices)
        else:
            wanted = Options(impose=pattern_of(options.impose), **choices)
            report = forecast(options.file, target, wanted, shapes=shapes, progress=stages)
            plan = report.plan
            _write_page(options, Side(options.file.name, report, about={"state": "predicted, not compiled"}))
    if options.json:
        plan_json = Report(plan, (), name, ()).to_json()["plan"]  # without the long lists of channels
        print_json({"kind": "model", "path": str(options.file), "target": name, "plan": plan_json})
    else:
        console = stdout()
        print_plan(console, plan)
        say(console, f"speed-ups are predicted for {name}; nothing was compiled")
    return 0


def _write_page(options: Namespace, side: Side) -> None:
    others = [] if options.beside is None else [other_side(options.beside)]
    write_page(options.html, [side, *others])
    say(stderr(), f"wrote {options.html}")
