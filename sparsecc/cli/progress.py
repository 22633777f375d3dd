"""Which stage of a long work is under way, on stderr: a spinner on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from sparsecc.text import printable

#: stages of :func:`sparsecc.compile`, and what the command line does around it
LABELS = {
    "start": "load PyTorch and TVM",
    "import": "import the model",
    "analyse": "find the block structure",
    "rewrite": "fuse layers, choose layouts",
    "schedule": "write and schedule kernels",
    "predict": "predict times",
    "inspect": "import the model and look at it",
    "build": "generate machine code",
    "link": "link",
    "verify": "compare with PyTorch",
    "save": "write the library",
}


class Stages:
    """Call it with the name of each stage as it begins.

    Attributes
    ----------
    seconds : dict of str to float
        Time of each stage that is over.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._console, self._quiet = console, quiet
        self._live = _live(console) if console.is_terminal and not quiet else None
        self._task: TaskID | None = None
        self._stage, self._since = "", 0.0

    def __enter__(self) -> Stages:
        self._begin = time.perf_counter()
        if self._live:
            self._live.start()
        return self

    def __call__(self, stage: str) -> None:
        """End the stage before and begin this one."""
        self._end()
        self._stage, self._since = stage, time.perf_counter()
        label = LABELS.get(stage) or printable(stage)
        if self._live:
            self._task = self._live.add_task(label, total=1)
        elif not self._quiet:
            self._console.print(f"{self._since - self._begin:6.1f} s  {label}", soft_wrap=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._end()
        elif self._live and self._task is not None:
            self._live.update(self._task, stopped=True)
        if self._live:
            self._live.stop()
            self._console.print()  # apart from the results, which follow on the same terminal

    def _end(self) -> None:
        if self._stage:
            self.seconds[self._stage] = time.perf_counter() - self._since
        if self._live and self._task is not None:
            self._live.update(self._task, completed=1)
            self._live.stop_task(self._task)


class _Mark(SpinnerColumn):
    """A spinner, a green star when the stage is over, a red x when it failed or was interrupted."""

    def render(self, task: Task) -> RenderableType:
        if task.fields.get("stopped"):
            return Text("x", style="bold red")
        return super().render(task)


def _live(console: Console) -> Progress:
    return Progress(
        _Mark("line", finished_text="[green]*[/green]"),
        TextColumn("{task.description:30}", markup=False),
        TextColumn("{task.elapsed:5.1f} s", markup=False),
        console=console,
    )
