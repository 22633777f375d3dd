"""Compile time, memory, size of the library of a pruned network: ``python -m bench.studies.size_and_build``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.cells.prepare import prepare
from bench.command import add_shape, parser_of
from bench.judging.aims import MAX_PEAK_BYTES, MAX_SECONDS
from bench.results.schema import Cell
from bench.results.summary import OURS
from bench.rivals import RIVALS
from bench.rivals.ours import Ours
from bench.running.client import Client

SIZE_SHARE, SIZE_EXTRA = 1.05, 300 * 1000  # a library may have 5 % and 300 kB more than weights and indices


@dataclass(frozen=True)
class Built:
    """What compiling took.

    Attributes
    ----------
    seconds : float
        Wall time from the module to the written library, imports of torch and TVM included.
    peak_bytes : int
        Peak resident memory of the compiling process.
    library_bytes, kept_bytes : int
        Of the file, and of the kept weights with a 4-byte index for each block.
    """

    cell: Cell
    seconds: float
    peak_bytes: int
    library_bytes: int
    kept_bytes: int

    @property
    def allowed_bytes(self) -> int:
        """The largest library that is no failure."""
        return int(SIZE_SHARE * self.kept_bytes) + SIZE_EXTRA

    @property
    def failures(self) -> list[str]:
        """Limits that are exceeded."""
        limits = {
            f"compiled in {self.seconds:.1f} s, expected {MAX_SECONDS:.0f}": self.seconds > MAX_SECONDS,
            f"peak of {self.peak_bytes / 1e9:.2f} GB, expected {MAX_PEAK_BYTES / 1e9:.2f}": self.peak_bytes
            > MAX_PEAK_BYTES,
            f"library of {self.library_bytes} bytes, expected {self.allowed_bytes}": self.library_bytes
            > self.allowed_bytes,
        }
        return [text for text, exceeded in limits.items() if exceeded]


def build_cell(cell: Cell) -> Built:
    """Compile in a process of its own, which has every core."""
    rival = RIVALS[OURS]
    assert isinstance(rival, Ours)
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        work = prepare(cell, folder)
        with Client(rival, folder, threads=cell.threads) as client:
            made = client.ask("convert")
        library_bytes = rival.library(folder).stat().st_size
    return Built(cell, round(made["seconds"], 2), made["peak_bytes"], library_bytes, work.kept_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when a limit is exceeded."""
    parser = parser_of("studies.size_and_build", __doc__.partition(":")[0])
    parser.add_argument("--net", default="resnet50")
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--sparsity", type=float, default=0.75)
    parser.add_argument("--threads", type=int, default=2, help="of the compiling process")
    add_shape(parser)
    parser.add_argument("--json", action="store_true", help="for machines")
    o = parser.parse_args(arguments)
    built = build_cell(Cell(o.net, o.n, o.sparsity, o.threads, o.width, o.size))
    print(json.dumps(asdict(built) | {"failures": built.failures}, indent=1) if o.json else _text(built))
    return 1 if built.failures else 0


def _text(built: Built) -> str:
    cell = built.cell
    lines = [
        f"{cell.net}, {cell.pattern}",
        f"compiled in {built.seconds:.1f} s, peak memory {built.peak_bytes / 1e9:.2f} GB",
        f"library {built.library_bytes / 1e6:.2f} MB; kept weights and indices {built.kept_bytes / 1e6:.2f} MB; "
        f"allowed {built.allowed_bytes / 1e6:.2f} MB",
        *(f"TOO MUCH: {text}" for text in built.failures),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
