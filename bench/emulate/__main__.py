"""What a core would make of a network: ``python -m bench.emulate LIBRARY --core cortex-a72``.

Instructions by kind, misses of the core's caches and estimated cycles of one run in one thread, by function. Counts of
instructions are exact, misses those of a model of the caches (``csrc/blocks.c``), cycles an estimate: of each block of
code by LLVM's model of the core, or by the rules of ``in_order.py``, and of its misses by ``cycles.with_memory``. They
compare versions of code on a core, not cores. Needs QEMU's user-mode emulator, gcc and LLVM's tools (Debian's
qemu-user, gcc, llvm); for Cortex-A76, A78 and Neoverse N1 an llvm-mca of LLVM 17 or later (``--mca``): older ones have
a stand-in.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.command import parser_of
from bench.emulate.blocks import CORES, EmulationError, run
from bench.emulate.cycles import known_models
from bench.emulate.estimate import Symbols, estimate, shown
from bench.emulate.ours import InputError, link
from bench.emulate.rival import command_of
from bench.rivals import RIVALS
from sparsecc.target.hardware_arm import HARDWARE

_TOOLS = ("qemu-aarch64", "gcc", "llvm-mc", "nm", "readelf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    p = parser_of("emulate", "Instructions, misses and estimated cycles of a network on an ARM core.")
    p.add_argument("library", type=Path, help="a folder of ours or its model.a; with --rival the folder of a cell")
    p.add_argument("--core", nargs="+", default=["cortex-a72"], choices=CORES)
    p.add_argument("--steps", type=int, default=0, metavar="N", help="also the N functions with most cycles")
    p.add_argument("--rival", choices=[name for name, rival in RIVALS.items() if not rival.ours])
    p.add_argument("--system", type=Path, help="with --rival: what `python -m bench.emulate.system` made")
    p.add_argument("--mca", default="llvm-mca", help="which llvm-mca (default: %(default)s)")
    options = p.parse_args(arguments)
    missing = [tool for tool in (*_TOOLS, options.mca) if shutil.which(tool) is None]
    if missing:
        p.error(f"{', '.join(missing)} not found; apt-get install qemu-user gcc llvm binutils")
    if options.rival and options.system is None:
        p.error("--rival needs --system; `python -m bench.emulate.system FOLDER` makes it")
    try:
        for core in options.core:
            _show(options.library.resolve(), core, options.rival, options.system, steps=options.steps, mca=options.mca)
    except (EmulationError, InputError) as error:
        print(f"bench.emulate: {error}", file=sys.stderr)
        return 2
    return 0


def _show(given: Path, core: str, rival: str | None, system: Path | None, *, steps: int, mca: str) -> None:
    hardware = HARDWARE[core]
    with TemporaryDirectory() as made:
        folder = Path(made)
        if rival is None:
            command, symbols = link(given, folder)
            blocks = run([command], hardware, folder=folder, starts=tuple(symbols.steps))
        else:
            assert system is not None, "the parser has asked for it"
            symbols = Symbols()
            command_line, environment = command_of(rival, given, system.resolve())
            blocks = run(command_line, hardware, folder=folder, libraries=system / "root", environment=environment)
    total, parts = estimate(blocks, hardware, symbols, mca=mca)
    known = known_models(mca)
    used = "the rules of in_order.py" if hardware.in_order else next(m for m in hardware.models if m in known)
    print(f"{core}, by {used}, in millions:\n")
    print(shown([total, *parts[:steps]], hardware), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
