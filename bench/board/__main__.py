"""Time networks on a board: ``python -m bench.board make rpi4 kit/``, then ``python -m bench.board table record.txt``.

``make`` writes a folder of some 20 to 100 MB with static programs and ``run.sh``. Who has the board copies it there,
starts ``sh kit/run.sh``, which takes two minutes, and sends back ``kit/record.txt``; ``table`` shows what it says.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nets
import torch

import sparsecc
from bench.board.record import RecordError, heads, read_record, rows
from bench.cells.prepare import pruned_net
from bench.command import add_patterns, add_shape, tell
from bench.results.schema import Cell
from bench.showing.markdown import table
from sparsecc.target.arm import ARM
from sparsecc.version import VERSION

_SCRIPT = Path(__file__).parent / "run.sh"
_NETS = ["mobilenet_v1", "mobilenet_v2", "resnet18"]
_README = """\
sparsecc {version}, {target}: how fast is this board?

On the board, with nothing else running:   sh run.sh
It takes about two minutes and writes record.txt: please send that back.
"""


def make(target: str, folder: Path, cells: Sequence[Cell]) -> None:
    """Write the folder that goes to a board.

    Parameters
    ----------
    target : str
    folder : Path
        Made if it is not there.
    cells : sequence of Cell
        Networks and patterns; random weights, pruned by chance.
    """
    (folder / "programs").mkdir(parents=True, exist_ok=True)
    for cell in cells:
        model, _ = pruned_net(cell)
        pattern = "dense" if cell.is_dense else f"1x{cell.n}_{100 * cell.sparsity:g}"
        tell(f"{cell.net} {pattern}")
        x = torch.zeros(1, 3, cell.size, cell.size)
        compiled = sparsecc.compile(model, target, example_inputs=(x,), verify=False)
        with TemporaryDirectory() as made:
            compiled.save(f"{made}/out/")
            shutil.copy(f"{made}/out/model_bench", folder / "programs" / f"{cell.net}-{pattern}-{target}")
    shutil.copy(_SCRIPT, folder / "run.sh")
    (folder / "README.txt").write_text(_README.format(version=VERSION, target=target))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder, or print the table."""
    p = argparse.ArgumentParser(prog="python -m bench.board", description="Timings on a board by whoever has one.")
    commands = p.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="write the folder that goes to a board")
    maker.add_argument("target", choices=list(ARM))
    maker.add_argument("folder", type=Path)
    maker.add_argument("--nets", nargs="+", default=_NETS, choices=list(nets.NETS))
    add_patterns(maker, sparsity=(0.0, 0.75, 0.9))
    add_shape(maker)
    reader = commands.add_parser("table", help="show records that came back")
    reader.add_argument("records", nargs="+", type=Path)
    options = p.parse_args(arguments)
    if options.command == "make":
        patterns = dict.fromkeys((n if sparsity else 1, sparsity) for sparsity in options.sparsity for n in options.n)
        make(options.target, options.folder, [
            Cell(net, n, sparsity, width=options.width, size=options.size)
            for net in options.nets for n, sparsity in patterns
        ])  # fmt: skip
        return 0
    try:
        read = [(path.name, read_record(path.read_text(errors="replace"), name=path.name)) for path in options.records]
    except (OSError, RecordError) as error:
        print(f"bench.board: {error}", file=sys.stderr)
        return 2
    print(table(heads(), rows(read)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
