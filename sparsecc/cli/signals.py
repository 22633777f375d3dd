"""Ctrl-C, SIGTERM and a closed terminal: a command stops, cleans up and ends with the code that a shell expects."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: what a shell adds to the number of the signal that ended a program
_BY_SIGNAL = 128
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: seconds until a stop is tried again that came where an exception goes nowhere
_AGAIN_S = 0.02


class Stop:
    """Whether a signal has come, however the error that it raised was treated on the way.

    Attributes
    ----------
    number : int
        The first signal, 0 for none.
    """

    number: int = 0

    def __bool__(self) -> bool:
        return bool(self.number)

    @property
    def code(self) -> int:
        """The command's exit code."""
        return _BY_SIGNAL + (self.number or signal.SIGINT)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt in the main thread, whichever signal it was: all code is used to that one."""
        self.number = self.number or number
        raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Signals that stop the command, as long as the block lasts; those that the process ignores stay ignored.

    Outside of the main thread nothing can be changed: signals are the program's business there.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: _lost(unraisable, hook)
    try:
        for number in ours:
            signal.signal(number, stop)
        yield stop
    finally:
        for number in ours:
            signal.signal(number, before[number])
        sys.unraisablehook = hook


def _lost(unraisable: Any, otherwise: Any) -> None:
    """A destructor swallowed the interrupt: say nothing, and interrupt again a moment later."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        otherwise(unraisable)
        return
    main = threading.main_thread().ident
    assert main is not None, "it has been started"
    timer = threading.Timer(_AGAIN_S, signal.pthread_kill, (main, signal.SIGINT))
    timer.daemon = True
    timer.start()
