"""Processor time that programs other than the benchmark's own used, from Linux' /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_NOISE_S = 2 * _TICK_S  # one tick each for what is busy and what is ours
# columns of /proc/stat that are work; guests are in user already, stolen time is told apart
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ, _STEAL = 0, 1, 2, 5, 6, 7


@dataclass(frozen=True)
class Use:
    """Shares of one core: used by other programs, given by the host to other machines, used by one process of ours."""

    others: float
    stolen: float
    player: float = 0.0


class Watch:
    """Counts from its making on.

    Parameters
    ----------
    own : iterable of int
        Processes of the benchmark, this one excepted; all must live until :meth:`use` is called.
    player : int, optional
        The one of them whose use is told apart.
    """

    def __init__(self, own: Iterable[int], *, player: int | None = None) -> None:
        self._own, self._player = (os.getpid(), *own), player
        self._start = self._read()

    def use(self) -> Use:
        """Shares of a core since the start, less what the kernel's clock of 10 ms can't tell from nothing."""
        wall, busy, own, stolen, player = (b - a for a, b in zip(self._start, self._read(), strict=True))
        wall = max(wall, _TICK_S)
        return Use(max(0.0, (busy - own - _NOISE_S) / wall), max(0.0, (stolen - _TICK_S) / wall), player / wall)

    def _read(self) -> tuple[float, ...]:
        """Seconds: of the clock, all cores busy, own processes, stolen, the player's."""
        ticks = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        busy = sum(ticks[i] for i in (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ))
        own = sum(map(_process_ticks, self._own))
        player = _process_ticks(self._player) if self._player else 0
        counts = busy, own, ticks[_STEAL], player
        return (time.perf_counter(), *(count * _TICK_S for count in counts))


def _process_ticks(pid: int) -> int:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # a name may hold spaces
    return int(fields[11]) + int(fields[12])
