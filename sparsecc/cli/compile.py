"""``sparsecc compile``: a model file becomes a library."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sparsecc.cli import arguments
from sparsecc.cli.compiler import load_compiler
from sparsecc.cli.console import print_json, say, stderr, stdout
from sparsecc.cli.meta import meta_of
from sparsecc.cli.plan_view import chosen_by_text, print_plan
from sparsecc.cli.progress import COMPILE, Stages
from sparsecc.errors import UserError, missing_package
from sparsecc.report import shape_lines
from sparsecc.runtime.files import check_writable, is_folder
from sparsecc.text import in_bytes

if TYPE_CHECKING:
    from sparsecc.compiled import Compiled
    from sparsecc.report import Report

SUMMARY = "compile a model to a standalone library"
DESCRIPTION = """\
Compile a model to a standalone library, compare it with PyTorch (an ONNX file with ONNX
Runtime), and say what was decided for every layer.
Writes the library and, beside it, its C header; or a folder with examples and a benchmark. MODEL.pt2 comes from
torch.export.save(torch.export.export(model, (x,)), "model.pt2"), or it is an ONNX file.
"""
EPILOG = """\
examples:
  sparsecc compile model.pt2 -o model.so
  sparsecc compile model.onnx -o model.so --shape images=1,3,224,224
  sparsecc compile model.onnx -o model.so --batch 1,2,4,8
  sparsecc compile model.pt2 -o model.a --target x86-64-v3 --name resnet
  sparsecc compile model.pt2 -o model.so --keep-dense 'head.*' stem.conv --dump stages/
"""


def configure(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", type=Path, metavar="MODEL.pt2", help="exported model (.pt2), or an ONNX file")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="model.so (shared), model.a (static), or a folder such as out/ with all that a board needs",
    )
    arguments.add_shape(parser)
    arguments.add_batch(
        parser,
        use="leading dimension of all inputs; several, such as 1,2,4,8, make one library with a program for each, "
        "which runs other batches in pieces. So does --shape, given again for each further shape",
    )
    arguments.add_target(parser)
    arguments.add_choices(parser)
    arguments.add_impose(parser)
    _add_quantize(parser)
    parser.add_argument(
        "--fp16",
        action="store_true",
        help="compute in half precision where the target does (rpi5): half the memory, sums of more than 32 terms in "
        "float32; inputs and outputs stay float32",
    )
    check = parser.add_mutually_exclusive_group()
    check.add_argument(
        "--no-verify", action="store_true", help="do not compare the result with PyTorch, or ONNX Runtime"
    )
    check.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest error that passes, relative to the largest output (default: 1e-4; 2e-3 with --fp16)",
    )
    parser.add_argument(
        "--name",
        default="model",
        metavar="ID",
        help="prefix of the C functions; two networks in one program need two names (default: %(default)s)",
    )
    parser.add_argument(
        "--meta",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=TEXT",
        help="what else the library is to carry, such as model_version=3; KEY=@FILE makes a list of a file's lines, "
        "such as classes=@labels.txt",
    )
    parser.add_argument(
        "--layout", choices=("nchw", "nhwc"), default="nchw", help="images in and out: nhwc has their channels last"
    )
    parser.add_argument(
        "--ports",
        choices=("float", "codes"),
        default="float",
        help="codes: a quantized network takes and gives 8-bit codes",
    )
    arguments.add_schedules(parser)
    parser.add_argument("--dump", type=Path, metavar="FOLDER", help="write what every stage made, and check it")
    parser.add_argument("--cc", help="C compiler to link with (default: $SPARSECC_CC, else ziglang)")
    arguments.add_threads(parser, use="the comparison; the library chooses anew where it runs")
    arguments.add_json(parser)


def execute(options: Namespace) -> int:
    """Compile, save, report."""
    files = _check_output(options.output, options.name)
    with Stages(stderr(), quiet=options.json, usual=_usual(options)) as stages:
        stages("start")
        compiler = load_compiler(for_model=options.model)
        model = _quantized(options, stages)
        compiled: Compiled = compiler.compile(
            model,
            options.target,
            shapes=arguments.shapes_of(options),
            batch=options.batch,
            threads=options.threads,
            verify=_verify(options),
            keep_dense=options.keep_dense,
            min_speedup=options.min_speedup,
            winograd=not options.no_winograd,
            max_growth=options.max_growth,
            name=options.name,
            dump=options.dump,
            cc=options.cc,
            schedules=arguments.schedules_of(options),
            impose=options.impose,
            meta=meta_of(options.meta),
            layout=options.layout,
            ports=options.ports,
            dtype="float16" if options.fp16 else "float32",
            progress=stages,
        )
        stages("save")
        compiled.save(options.output, progress=stages)
    if options.json:
        print_json(_document(compiled, options, stages, files=files))
    else:
        _print(stdout(), compiled, options, stages, files=files)
    return 0


def _usual(options: Namespace) -> Mapping[str, float]:
    """Seconds of the stages; to a folder each of its programs is linked."""
    stages = {name: seconds for name, seconds in COMPILE.items() if name != "verify" or not options.no_verify}
    if is_folder(options.output):
        stages |= {
            f"link {options.name}{end}": seconds for end, seconds in ((".so", 8.0), (".a", 8.0), ("_bench", 12.0))
        }
    return stages


def _add_quantize(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--quantize",
        type=Path,
        metavar="IMAGES.npz",
        help="quantize a float model to 8 bits first, with these images as the model gets them: a float32 array "
        "(count, channels, height, width)",
    )
    parser.add_argument(
        "--keep-float",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="layers that --quantize leaves in float32: names, or quoted shell patterns such as 'head.*'",
    )


def _quantized(options: Namespace, stages: Stages) -> Any:
    """The model to compile: the file, or what quantizing makes of it."""
    if options.quantize is None:
        if options.keep_float:
            raise UserError("--keep-float: found no --quantize, expected it with the images to quantize with")
        return options.model
    stages("quantize")
    try:
        from sparsecc.pytorch.quantized.images import quantize_file
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    found = quantize_file(options.model, options.quantize, keep_float=options.keep_float)
    if not options.json:
        say(stdout(), str(found))
        say(stdout())
    return found.program


def _check_output(path: str, name: str) -> list[Path]:
    """Find out now what would make the last stage fail; gives the files that tell most: library and header."""
    if is_folder(path):
        parent = Path(path).absolute().parent
        check_writable((Path(path) if Path(path).is_dir() else parent) / "README.md")
        return [Path(path) / f"{name}.so", Path(path) / f"{name}.h"]
    return _check_library(Path(path))


def _check_library(path: Path) -> list[Path]:
    if path.suffix not in (".so", ".a"):
        raise UserError(f"--output: found suffix {path.suffix!r} in {path}, expected .so, .a, or a folder such as out/")
    header = path.with_suffix(".h")
    for file in (path, header):
        check_writable(file)
    return [path, header]


def _verify(options: Namespace) -> bool | float:
    if options.no_verify:
        return False
    return True if options.tolerance is None else float(options.tolerance)


def _document(compiled: Compiled, options: Namespace, stages: Stages, *, files: list[Path]) -> dict[str, Any]:
    return {
        "library": str(files[0]),
        "header": str(files[1]),
        "name": options.name,
        "file_bytes": files[0].stat().st_size,
        "seconds": stages.seconds,
        "report": compiled.report.to_json(),
    }


def _print(console: Console, compiled: Compiled, options: Namespace, stages: Stages, *, files: list[Path]) -> None:
    report = compiled.report
    print_plan(console, report.plan)
    say(console, _accuracy(report, skipped=options.no_verify))
    say(console, chosen_by_text(report))
    for line in shape_lines(report.shapes):
        say(console, line)
    for note in report.notes:
        say(console, f"note: {note}")
    size, seconds = in_bytes(files[0].stat().st_size), sum(stages.seconds.values())
    say(console)
    say(
        console,
        f"wrote {files[0]} ({size}) and {files[1]} for {report.target} in {seconds:.1f} s",
        style="bold",
    )


def _accuracy(report: Report, *, skipped: bool) -> str:
    return "not compared with PyTorch: --no-verify" if skipped else report.accuracy
