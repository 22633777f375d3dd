"""Work in a forked child."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from patience import PATIENCE_S


def in_child(work: Callable[[], bool]) -> bool:
    """Whether ``work`` is true in a forked child; false if it hangs."""
    pid = os.fork()
    if not pid:
        os._exit(0 if work() else 1)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False
