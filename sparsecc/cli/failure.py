"""What happens when a command fails: one line on stderr, and an exit code that tells whose turn it is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from rich.text import Text

from sparsecc.cli.console import say, stderr
from sparsecc.cli.signals import Stop, stoppable
from sparsecc.errors import InternalError, SparseccError
from sparsecc.text import printable

UNEXPECTED = 1
_BROKEN_PIPE = 141  # what a shell reports for a program that the closed pipe ended


def guard(command: Callable[[Any], int], options: Any, *, traceback: bool = False) -> int:
    """Run ``command(options)`` and give its exit code; an exception becomes a message and a code."""
    with stoppable() as stop:
        try:
            code = command(options)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            return _stopped(stop)
        except BrokenPipeError:  # the reader, such as head, has seen enough
            _forget_stdout()
            return _BROKEN_PIPE
        except Exception as error:
            if stop:  # what other people's code makes of an interrupt
                return _stopped(stop)
            return _report(error, traceback=traceback or _wanted(os.environ.get("SPARSECC_TRACEBACK", "")))


def _stopped(stop: Stop) -> int:
    say(stderr(), "terminated" if stop and stop.number != signal.SIGINT else "interrupted")
    return stop.code


def _wanted(value: str) -> bool:
    return value not in ("", "0")


def _report(error: Exception, *, traceback: bool) -> int:
    if traceback:
        import traceback as tracebacks

        tracebacks.print_exception(error)
    say(stderr(), Text.assemble(("error: ", "bold red"), printable(_message(error), keep="\n")))
    return error.exit_code if isinstance(error, SparseccError) else UNEXPECTED


def _message(error: Exception) -> str:
    if isinstance(error, InternalError) or not isinstance(error, SparseccError):
        hint = "--traceback shows where it happened"
        text = str(error) if isinstance(error, SparseccError) else f"unexpected {type(error).__name__}: {error}"
        return f"{text}\n{hint}"
    return str(error)


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere; it would fail again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
