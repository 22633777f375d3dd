"""Measure the cost model's figures of one core: some seconds, with a small C program."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sparsecc.build.toolchain import find_compiler
from sparsecc.errors import ToolchainError
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.target import Target
from sparsecc.target.native.cpu import cache_bytes
from sparsecc.target.native.figures import Figures
from sparsecc.untrusted import check_members, parse_json

_SOURCE = Path(__file__).parent / "csrc" / "measure.c"
#: what the compiler is told for each width of vectors
_FEATURES = {8: "avx2,fma", 16: "avx512f,avx512vl,fma"}
_TIMEOUT_S = 60
#: of caches, where nobody asks what they give
_SMALL_BYTES = 1 << 16
#: half vectors that start so much more often than whole ones show that those take two halves; they start as often or
#: twice as often
_PUMPED = 1.5
#: share of a shared last cache that one core is taken to keep
_L3_SHARE = 0.5


def measure(target: Target, *, cc: str | None = None) -> Figures:
    """Figures of the core this runs on, for code made for ``target``; rounded, so that runs agree.

    Raises
    ------
    ToolchainError
        The program can't be compiled, or fails.
    """
    caches = cache_bytes()
    sizes = [caches.get(level, usual) for level, usual in ((2, target.l2_bytes), (3, target.l3_bytes))]
    found = _measure(target, sizes, cc=cc)
    return Figures(
        fma_per_cycle=_halves(found["fma_per_cycle"]),
        loads_per_cycle=_halves(found["loads_per_cycle"]),
        l1_bytes=caches.get(1, target.l1_bytes),
        l2_bytes=sizes[0],
        l3_bytes=int(sizes[1] * _L3_SHARE),
        l2_bandwidth=_two_digits(found["l2_bandwidth"]),
        l3_bandwidth=_two_digits(found["l3_bandwidth"]),
        memory_bandwidth=_two_digits(found["memory_bandwidth"]),
        double_pumped=found["half_fma_per_cycle"] > _PUMPED * found["fma_per_cycle"],
    )


def measure_clock(target: Target, *, cc: str | None = None) -> float:
    """Clock of the busy core this runs on, in GHz, two decimals.

    Raises
    ------
    ToolchainError
        As :func:`measure`.
    """
    return round(_measure(target, [], cc=cc)["ghz"], 2)


def measure_peak(target: Target, *, cc: str | None = None) -> float:
    """Float operations a second that one busy core reaches with multiply-adds, two each; some tenths of a second.

    Raises
    ------
    ToolchainError
        As :func:`measure`.
    """
    found = _measure(target, [_SMALL_BYTES, _SMALL_BYTES], cc=cc)
    return 2e9 * found["ghz"] * found["fma_per_cycle"] * target.lanes


def _measure(target: Target, sizes: list[int], *, cc: str | None) -> dict[str, float]:
    if not target.triple.startswith("x86_64"):
        raise ToolchainError(f"measuring this machine needs x86-64, found {target.name}")
    with scratch_folder() as folder:
        program = folder / "measure"
        flags = (f"-DLANES={target.lanes}", f'-DFEATURES="{_FEATURES[target.lanes]}"', "-std=gnu11", "-O2")
        find_compiler(cc, triple=target.triple).run((*flags, str(_SOURCE), "-o", str(program)), folder=folder)
        return _run(program, sizes)


def _run(program: Path, sizes: list[int]) -> dict[str, float]:
    try:
        done = subprocess.run(
            [str(program), *map(str, sizes)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        found = check_members(parse_json(done.stdout), needed=())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolchainError(
            f"measuring this machine failed ({error}); name a target in the place of 'native' to do without"
        ) from error
    return {name: float(value) for name, value in found.items()}


def _halves(value: float) -> float:
    """To the nearest half: what starts in a cycle is a small number."""
    return max(0.5, round(2 * value) / 2)


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
