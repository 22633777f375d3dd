"""One case in a process of its own."""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fuzz.outcome import Outcome
from sparsecc.errors import InternalError, SparseccError

Case = Callable[[], Outcome]

#: of memory that a case may take beyond what its process began with
_MORE_MEMORY = 4 << 30


def isolated(case: Case, *, seconds: float) -> Outcome:
    """Run a case in a forked child; its death and its silence are outcomes."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(case, writer)
    os.close(writer)
    try:
        return _outcome(child, reader, seconds)
    finally:
        os.close(reader)


def judged(case: Case) -> Outcome:
    """Run a case here, with exceptions turned into outcomes."""
    try:
        return case()
    except InternalError as error:
        return Outcome("bug", f"{type(error).__name__}: {error}")
    except SparseccError as error:
        return Outcome("refused", f"{type(error).__name__}: {error}")
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("foreign", f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}")


def _child(case: Case, writer: int) -> None:
    faulthandler.disable()  # a death by a signal is an outcome, no report
    quiet = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(quiet, standard)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _memory() + _MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    outcome = judged(case)
    with os.fdopen(writer, "wb") as pipe:
        pickle.dump((outcome.ending, outcome.detail[:2000]), pipe)
    os._exit(0)


def _memory() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def _outcome(child: int, reader: int, seconds: float) -> Outcome:
    end, received = time.monotonic() + seconds, b""
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 1 << 16)
        received += part
        if not part:
            break
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Outcome("hang", f"not done after {seconds:.0f} s")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Outcome("signal", signal.Signals(os.WTERMSIG(status)).name)
    if not received:
        return Outcome("foreign", f"the process ended with code {os.WEXITSTATUS(status)}")
    ending, detail = pickle.loads(received)
    return Outcome(ending, detail)
