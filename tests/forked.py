"""Work in a forked child."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def in_child(work: Callable[[], bool]) -> bool:
    """Whether ``work`` is true in a forked child; false if it hangs."""
    pid = os.fork()
    if not pid:
        os._exit(0 if work() else 1)
    for _ in range(2000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False
