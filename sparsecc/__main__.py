"""``python -m sparsecc`` and the program ``sparsecc``: the command line."""

import signal
import sys


def program() -> int:
    """Run the command of this process's arguments; before and after it Ctrl-C ends the process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sparsecc.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(program())
