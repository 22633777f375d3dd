"""Options that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable

from sparsecc.analyse.impose import Impose
from sparsecc.errors import UserError


def add_target(parser: ArgumentParser, *, default: str | None = "native") -> None:
    """``--target``."""
    parser.add_argument(
        "--target",
        default=default,
        metavar="NAME",
        help="processor to compile for: 'sparsecc targets' lists them; or a file with one of your own (my_board.json), "
        "docs/raspberry-pi.md says how (default: native, this machine's best)",
    )


def add_choices(parser: ArgumentParser) -> None:
    """Options that decide between sparse and dense."""
    parser.add_argument(
        "--keep-dense",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="layers to leave dense: names, or quoted shell patterns such as 'head.*'",
    )
    parser.add_argument(
        "--min-speedup",
        type=float,
        default=1.05,
        metavar="X",
        help="make a layer sparse when that speed-up over dense is predicted (default: %(default)s)",
    )
    parser.add_argument(
        "--no-winograd",
        action="store_true",
        help="compute 3x3 convolutions without Winograd's algorithm: smaller, slower, exact sums",
    )
    add_max_growth(parser)


def add_max_growth(parser: ArgumentParser) -> None:
    """``--max-growth``."""
    parser.add_argument(
        "--max-growth",
        type=float,
        metavar="X",
        help="let weights take at most so many times the space that they take without Winograd's algorithm (1 or more; "
        "default: no limit)",
    )


def add_impose(parser: ArgumentParser) -> None:
    """``--impose``."""
    parser.add_argument(
        "--impose",
        type=_pattern,
        metavar="N:SPARSITY",
        help="put a 1xN pattern on a copy of the model first, to see what pruning would give: 4:0.75 keeps a quarter "
        "of the 1x4 blocks; the first convolution, depthwise ones and the last linear layer stay dense",
    )


def _pattern(text: str) -> tuple[int, float]:
    try:
        found = Impose.parse(text)
    except UserError as error:
        raise ArgumentTypeError(str(error).removeprefix("impose: ")) from error
    return found.block_n, found.sparsity


def add_shape(parser: ArgumentParser) -> None:
    """``--shape``."""
    parser.add_argument(
        "--shape",
        type=_shape,
        action="append",
        metavar="NAME=N,N,N",
        help="shape of an input that the model leaves open, such as images=1,3,224,224; once for each input",
    )


def add_batch(parser: ArgumentParser, *, use: str) -> None:
    """``--batch``; ``use`` says of what."""
    parser.add_argument("--batch", type=_batches, metavar="N,N", help=use)


def _batches(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise ArgumentTypeError(f"found {text!r}, expected positive numbers such as 1,2,4,8")
    return tuple(map(int, words))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    words = sizes.split(",") if sizes else []
    if not name or not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise ArgumentTypeError(f"found {text!r}, expected an input's name and whole numbers such as x=1,3,224,224")
    return name, tuple(map(int, words))


def shapes_of(options: Namespace) -> dict[str, tuple[int, ...]] | list[dict[str, tuple[int, ...]]] | None:
    """What ``--shape`` means to :func:`sparsecc.compile`: with an input named again, the next of several shapes."""
    if options.shape is None:
        return None
    names = list(dict.fromkeys(name for name, _ in options.shape))
    sizes = {name: [found for other, found in options.shape if other == name] for name in names}
    counts = {name: len(found) for name, found in sizes.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UserError(f"--shape: found {found}, expected as many of each input")
    shapes = [dict(zip(names, each, strict=True)) for each in zip(*sizes.values(), strict=True)]
    return shapes[0] if len(shapes) == 1 else shapes


def one_shape_of(options: Namespace) -> dict[str, tuple[int, ...]] | None:
    """What ``--shape`` means where a command looks at a network in one shape."""
    shapes = shapes_of(options)
    if isinstance(shapes, list):
        raise UserError(f"--shape: found {len(shapes)} shapes, expected one: only compile makes programs for several")
    return shapes


def add_schedules(parser: ArgumentParser) -> None:
    """``--schedules``."""
    parser.add_argument(
        "--schedules",
        default="shipped",
        metavar="FILE",
        help="records of 'sparsecc tune' that choose kernels' configs; 'none' for the cost model alone "
        "(default: those that come with sparsecc)",
    )


def schedules_of(options: Namespace) -> str | None:
    """What ``--schedules`` means to :func:`sparsecc.compile`."""
    return None if options.schedules == "none" else str(options.schedules)


def add_threads(parser: ArgumentParser, *, use: str) -> None:
    """``--threads``; ``use`` says of what."""
    parser.add_argument(
        "--threads", type=whole_from(0), metavar="N", help=f"threads of {use} (default: the library's choice)"
    )


def whole_from(least: int) -> Callable[[str], int]:
    """A type of argument: whole numbers from ``least`` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise ArgumentTypeError(f"found {text!r}, expected a whole number of {least} or more")
        return number

    return read


def add_json(parser: ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def add_traceback(parser: ArgumentParser) -> None:
    """``--traceback``."""
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="show where in the code an error came from; so does SPARSECC_TRACEBACK=1",
    )
