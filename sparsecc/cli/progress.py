"""Which stage of a long work is under way, on stderr: a line that goes away on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from sparsecc.text import printable

#: stages of :func:`sparsecc.compile`, and what the command line does around it
LABELS = {
    "start": "load PyTorch and TVM",
    "look": "look at what is installed",
    "count": "count the threads",
    "measure": "measure this machine",
    "quantize": "quantize the model",
    "import": "import the model",
    "analyse": "find the block structure",
    "rewrite": "fuse layers, choose layouts",
    "schedule": "write and schedule kernels",
    "predict": "predict times",
    "inspect": "import the model and look at it",
    "build": "generate machine code",
    "link": "link",
    "verify": "compare with PyTorch or ONNX Runtime",
    "save": "write the library",
}
#: seconds of the stages of a middling network, in order: what is left is told by them, at the pace so far
COMPILE = MappingProxyType(
    {"start": 3.0, "import": 2.0, "analyse": 0.3, "rewrite": 0.3, "schedule": 2.5, "build": 5.0, "link": 1.5,
     "verify": 0.8, "save": 0.3}
)  # fmt: skip
ADVISE = MappingProxyType({"start": 3.0, "import": 2.0, "predict": 6.0})
INSPECT = MappingProxyType({"start": 3.0, "inspect": 2.5})
FORECAST = MappingProxyType({"start": 3.0, "import": 2.0, "analyse": 0.3, "rewrite": 0.3, "schedule": 2.5})
#: stages whose time has nothing to do with the network
_FIXED = ("start", "time runs", "time layers")
#: seconds from which on a work is long enough for a word about what is left
_LONG_S = 2.0
#: how often the line is drawn anew in a second
_PER_SECOND = 8


def seconds_left(usual: Mapping[str, float], done: Mapping[str, float], stage: str, elapsed: float) -> float | None:
    """Seconds that are left, as far as the usual times of the stages tell.

    Parameters
    ----------
    usual : mapping of str to float
        Seconds of each stage, in order.
    done : mapping of str to float
        Seconds of the stages that are over.
    stage : str
        The one that goes on.
    elapsed : float
        Its seconds so far.

    Returns
    -------
    float or None
        None where the stage is not among the usual ones, or takes longer than can be told.
    """
    if stage not in usual:
        return None
    paced = [name for name in done if name in usual and name not in _FIXED]
    pace = sum(done[name] for name in paced) / sum(usual[name] for name in paced) if paced else 1.0
    names = list(usual)
    own = usual[stage] * (1.0 if stage in _FIXED else pace)
    if elapsed > own and names[-1] == stage:
        return None
    after = sum(usual[name] * (1.0 if name in _FIXED else pace) for name in names[names.index(stage) + 1 :])
    return max(0.0, own - elapsed) + after


class Stages:
    """Call it with the name of each stage as it begins.

    Parameters
    ----------
    console : Console
    quiet : bool
        Show nothing.
    usual : mapping of str to float
        Seconds that the stages usually take, in order; empty where nobody knows.

    Attributes
    ----------
    seconds : dict of str to float
        Time of each stage that is over.
    """

    def __init__(
        self, console: Console, *, quiet: bool = False, usual: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._console, self._quiet, self._usual = console, quiet, usual
        self._spinner = Spinner("line")
        live = console.is_terminal and not console.is_dumb_terminal and not quiet
        self._stage, self._begin, self._since = "", 0.0, 0.0
        self._live = _live(console, self._line) if live else None

    def __enter__(self) -> Stages:
        self._begin = self._since = time.perf_counter()
        if self._live:
            self._live.start()
        return self

    def __call__(self, stage: str) -> None:
        """End the stage before and begin this one."""
        self._end()
        self._stage, self._since = stage, time.perf_counter()
        if self._live:
            self._live.refresh()
        elif not self._quiet:
            self._console.print(f"{self._since - self._begin:6.1f} s  {_label(stage)}", soft_wrap=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._end()
        if self._live:
            self._live.stop()

    def _end(self) -> None:
        if self._stage:
            self.seconds[self._stage] = time.perf_counter() - self._since

    def _line(self) -> Text:
        """What the terminal shows: the stage, its seconds and, of a long work, about how many are left."""
        now = time.perf_counter()
        elapsed = now - self._since
        line = Text(f"{self._spinner.render(now)} {_label(self._stage):30} {now - self._begin:5.1f} s", no_wrap=True)
        left = seconds_left(self._usual, self.seconds, self._stage, elapsed)
        if left is not None and left + now - self._begin > _LONG_S:
            line.append(f", about {left:.0f} s left" if left >= 1 else ", nearly done")
        line.truncate(self._console.width - 1, overflow="ellipsis")
        return line


def _label(stage: str) -> str:
    return LABELS.get(stage) or printable(stage)


def _live(console: Console, line: Callable[[], Text]) -> Live:
    return Live(console=console, get_renderable=line, transient=True, refresh_per_second=_PER_SECOND)
