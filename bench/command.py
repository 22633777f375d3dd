"""What the benchmark's commands have in common: their command line, and what they tell on the way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    """Parser of ``python -m bench.<name>``."""
    return argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)


def add_patterns(parser: argparse.ArgumentParser, *, sparsity: Sequence[float]) -> None:
    """``--n`` and ``--sparsity``: every combination of them is a pattern; 0 is the dense network."""
    parser.add_argument("--n", nargs="+", type=int, default=[4, 16], help="output channels of a block (default: 4 16)")
    parser.add_argument(
        "--sparsity",
        nargs="+",
        type=_share,
        default=list(sparsity),
        help=f"share of pruned blocks; 0 is the dense network (default: {' '.join(f'{s:g}' for s in sparsity)})",
    )


def add_shape(parser: argparse.ArgumentParser) -> None:
    """``--width`` and ``--size``, of every network."""
    parser.add_argument("--width", type=float, default=1.0, help="scales the channels, for tests (default: 1)")
    parser.add_argument("--size", type=int, default=224, help="pixels of a side, for tests (default: 224)")


def tell(text: str) -> None:
    """Say how far it is, beside the results."""
    print(text, file=sys.stderr, flush=True)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected a share from 0 to below 1")
    return share
