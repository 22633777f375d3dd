"""A rival's wheel for ARM in the emulator, on a cell that it converted here."""

from __future__ import annotations

from pathlib import Path

from bench import ROOT

_SCRIPT = """\
import os, sys
from pathlib import Path
import numpy as np
from bench.rivals import RIVALS
from bench.rivals.files import EXPECTED, INPUT
from bench.running.worker import largest_error
name, folder = sys.argv[1], Path(sys.argv[2])
x = np.load(folder / INPUT)
engine = RIVALS[name].load(folder, threads=1)
engine.run(x)
os.getppid()
found = engine.run(x)
os.getppid()
with np.load(folder / EXPECTED) as archive:
    error = largest_error([np.asarray(part) for part in found], [archive[key] for key in archive.files])
if error is None or error > 1e-3:
    sys.exit(f"{name}: largest error {error}, expected at most 1e-3 of the largest output")
"""


def command_of(rival: str, cell: Path, system: Path) -> tuple[list[str], dict[str, str]]:
    """Python for ARM with an engine that runs between two marks, and what its environment has besides.

    Parameters
    ----------
    rival : str
        Key of :data:`bench.rivals.RIVALS`.
    cell : Path
        Where the cell's files are, the rival's own among them.
    system : Path
        What :mod:`bench.emulate.system` made.
    """
    command = [str(system / "root" / "usr" / "bin" / "python3.11"), "-c", _SCRIPT, rival, str(cell)]
    path = f"{system / 'site'}:{ROOT}"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return command, {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **threads}
