"""``--meta``: what a library is to carry besides its network."""

from __future__ import annotations

from collections.abc import Sequence

from sparsecc.errors import UserError
from sparsecc.untrusted import RefusedError, read_file

#: of a file with a line for each class
_MOST_BYTES = 1 << 20


def meta_of(options: Sequence[str]) -> dict[str, str | list[str]]:
    """``KEY=TEXT`` and ``KEY=@FILE`` as texts and lists of lines.

    Raises
    ------
    UserError
        There is no ``=``, a key twice, or a file that can't be read.
    """
    found: dict[str, str | list[str]] = {}
    for option in options:
        key, sign, text = option.partition("=")
        if not sign:
            raise UserError(f"--meta: found {option!r}, expected KEY=TEXT such as model_version=3, or KEY=@FILE")
        if key in found:
            raise UserError(f"--meta: found {key!r} twice, expected each key once")
        found[key] = _lines(text[1:]) if text.startswith("@") else text
    return found


def _lines(path: str) -> list[str]:
    try:
        return read_file(path, most_bytes=_MOST_BYTES).decode().splitlines()
    except (OSError, RefusedError, UnicodeDecodeError) as error:
        raise UserError(f"--meta: {path} can't be read as lines of text: {error}") from error
