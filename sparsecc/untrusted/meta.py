"""What a user has to say of a network, and its library carries: texts by their keys, and lists of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparsecc.untrusted.data import MalformedError, shown

Meta = dict[str, "str | list[str]"]

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
#: bytes of all texts together
_MOST_BYTES = 1 << 20


def check_meta(value: Any) -> Meta:
    """The value, lists for tuples.

    Raises
    ------
    MalformedError
        It is no mapping of names to texts and lists of texts, of two names C would make one, or it is too long.
    """
    if not isinstance(value, Mapping):
        raise MalformedError(f"found {shown(value)}, expected texts by their keys, such as {{'model_version': '3'}}")
    found = {key: _said(key, said) for key, said in value.items()}
    macros = macros_of(found)
    twice = next((macro for macro in macros if macros.count(macro) > 1), None)
    if twice:
        raise MalformedError(f"found two keys that are {twice} in the C header, expected others")
    nbytes = sum(len(text.encode()) for said in found.values() for text in ([said] if isinstance(said, str) else said))
    if nbytes > _MOST_BYTES:
        raise MalformedError(f"found {nbytes} bytes of texts, expected at most {_MOST_BYTES}")
    return found


def macros_of(meta: Meta) -> list[str]:
    """How the keys are called in a C header, after the network's prefix; a list has its length besides."""
    counts = [f"{key}_COUNT".upper() for key, said in meta.items() if not isinstance(said, str)]
    return [*(key.upper() for key in meta), *counts]


def _said(key: Any, said: Any) -> str | list[str]:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise MalformedError(f"found the key {shown(key)}, expected letters, digits and _, a letter first")
    texts = [said] if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else [None]
    if not all(isinstance(text, str) and _is_storable(text) for text in texts):
        raise MalformedError(f"{key}: found {shown(said)}, expected a text or a list of texts")
    return said if isinstance(said, str) else [str(text) for text in texts]


def _is_storable(text: str) -> bool:
    """A C string can't have zeros in it, and UTF-8 no half of a surrogate pair."""
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text
