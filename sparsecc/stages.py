"""How stages run: each under its name, which an unforeseen error has, and watched by who wants to see what it made."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sparsecc.errors import unforeseen

P = ParamSpec("P")
Made = TypeVar("Made")
#: gets the name of a stage, and what it made
Watch = Callable[[str, object], None]


class Stages:
    """Calls a stage; every watcher is given what it made.

    Parameters
    ----------
    watchers : callable
        May raise where a stage made nonsense.
    """

    def __init__(self, *watchers: Watch) -> None:
        self._watchers = watchers

    def __call__(self, name: str, stage: Callable[P, Made], *args: P.args, **options: P.kwargs) -> Made:
        """Run a stage.

        Raises
        ------
        InternalError
            In the place of what nobody foresaw, with the stage's name.
        """
        with unforeseen(name):
            made = stage(*args, **options)
            for watch in self._watchers:
                watch(name, made)
        return made


#: of those who look at nothing
UNWATCHED = Stages()
