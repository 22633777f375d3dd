"""A search as it goes: a live panel on a terminal, a line a batch elsewhere, both on stderr."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from sparsecc.cli.console import say
from sparsecc.cli.units import in_ms
from sparsecc.text import printable

if TYPE_CHECKING:
    from sparsecc.tuning.search import Event
    from sparsecc.tuning.state import TaskState


class TuneView:
    """Shows layer, trial, best so far, the whole network, and the time that is left.

    Attributes
    ----------
    history : list of (int, float)
        Trials, and milliseconds of all kernels with the best configs so far: each kernel counts from its first
        measurement on with what the cost model's config takes.
    """

    def __init__(self, console: Console, trials: int, log: Path, *, quiet: bool = False) -> None:
        self._console, self._trials, self._log, self._quiet = console, trials, log, quiet
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal and not quiet else None
        self._states: Sequence[TaskState] = ()
        self._trial = self._measured = self._failed = self._disturbed = 0
        self._last: TaskState | None = None
        self._changes: list[tuple[int, int, float]] = []
        self._begin = time.monotonic()

    def __enter__(self) -> TuneView:
        if self._live:
            self._live.start()
        self._note("import the model and find its kernels")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._live:
            self._live.stop()
        if kind is KeyboardInterrupt and not self._quiet:
            kept = f"{self._measured} measurements of this search are in {self._log}"
            say(self._console, f"stopped; {kept}; the same command goes on from there")

    def start(self, states: Sequence[TaskState]) -> None:
        """The tasks are known: layers that several algorithms compute, pairs that may be joined, kernels."""
        self._states, self._last, self._changes = states, None, []
        known = sum(len(state.timings) for state in states)
        layers = sum(state.count for state in states)
        what = {
            "algorithm": f"layers that several algorithms compute: {layers} ({len(states)} different)",
            "join": f"pairs of layers, one kernel or two: {layers} ({len(states)} different)",
        }.get(states[0].task.key.kind, f"{len(states)} kernels of {layers} layers")
        self._note(f"{what}; {known} known measurements")

    def event(self, event: Event) -> None:
        """Something was measured."""
        self._trial = max(self._trial, event.trial)
        timing = event.state.timings.get(event.config)
        self._measured += timing is not None
        self._failed += timing is None
        self._disturbed += timing is not None and timing.disturbed > timing.rounds
        number = next((i for i, state in enumerate(self._states) if state is event.state), None)
        if number is not None:  # algorithms are compared once more after the search for their kernels
            self._changes.append((self._trial, number, event.state.relative))
        if self._live:
            self._live.update(self._panel(event))
        elif event.state is not self._last and not self._quiet:
            say(self._console, f"{time.monotonic() - self._begin:6.1f} s  {self._line(event)}")
        self._last = event.state

    @property
    def history(self) -> list[tuple[int, float]]:
        """See the class."""
        times = [state.count * (state.default_us or 0.0) / 1e3 for state in self._states]
        shares, curve = [1.0] * len(times), []
        for trial, number, share in self._changes:
            shares[number] = share
            curve.append((trial, sum(ms * s for ms, s in zip(times, shares, strict=True))))
        return curve

    def _line(self, event: Event) -> str:
        state = event.state
        best = f"{(state.default_us or 0) * state.relative:.1f} us, {1 / state.relative:.2f}x the cost model's"
        return f"trial {self._trial}/{self._trials}  {state.task.names[0]}: best {best}  network {self._network()}"

    def _network(self) -> str:
        default = sum(state.count * (state.default_us or 0.0) for state in self._states) / 1e6
        best = sum(state.total_us for state in self._states) / 1e6
        waiting = sum(state.default_us is None for state in self._states)
        missing = f" ({waiting} kernels not measured yet)" if waiting else ""
        return f"{in_ms(default)} to {in_ms(best)} ms{missing}"

    def _panel(self, event: Event) -> RenderableType:
        state, seconds = event.state, time.monotonic() - self._begin
        share = share_of_peak(state)
        left = seconds / self._trial * (self._trials - self._trial) if self._trial else 0.0
        tried = f"{len(state.timings)} of {len(state.task.space)} configs tried"
        lines = [
            f"kernel   {state.task.key}",
            f"layers   {', '.join(state.task.names)}",
            f"best     {(state.default_us or 0) * state.relative:.1f} us{share}, "
            f"{1 / state.relative:.2f}x the cost model's; {tried}",
            f"network  {self._network()}",
            f"trial    {self._trial} of {self._trials}, {self._failed} failed, {self._disturbed} disturbed; "
            f"{_clock(seconds)} so far, about {_clock(left)} left",
        ]
        bar = ProgressBar(total=self._trials, completed=self._trial, width=60)
        return Group(*(Text(printable(line), no_wrap=True, overflow="ellipsis") for line in lines), bar)

    def _note(self, text: str) -> None:
        if self._live:
            self._live.update(Text(printable(text)))
        elif not self._quiet:
            say(self._console, f"{time.monotonic() - self._begin:6.1f} s  {text}")


def share_of_peak(state: TaskState) -> str:
    """The best config's share of the core's multiply-adds, at the clock that the measuring program saw."""
    timing = state.timings.get(state.best)
    if timing is None or not timing.ghz:
        return ""
    key, target = state.task.key, state.task.target
    peak = 2 * target.lanes * target.fma_per_cycle * timing.ghz * 1e3  # flops in a microsecond
    flops = 2 * key.spec.macs * key.density / 100
    return f" (about {100 * flops / peak / timing.us:.0f} % of the peak)"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
