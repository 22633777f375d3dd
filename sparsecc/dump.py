"""Writes what every stage made into a folder, for people who want to look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsecc.errors import OutputError


class Dump:
    """A folder of numbered files, or nothing when no folder was asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"dump: can't make folder {folder}: {error.strerror}; choose another") from error

    def text(self, name: str, text: str, *, suffix: str = ".txt") -> None:
        """Write ``name + suffix``."""
        if self._folder is None:
            return
        path = self._folder / (name + suffix)
        try:
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise OutputError(f"dump: can't write {path}: {error.strerror}; choose another folder") from error

    def module(self, name: str, module: Any) -> None:
        """Write a Relax or TensorIR module as TVMScript."""
        if self._folder is not None:
            self.text(name, module.script(), suffix=".py")

    def functions(self, name: str, functions: Mapping[str, Any]) -> None:
        """Write kernels as TVMScript."""
        if self._folder is not None:
            self.text(name, "\n".join(f"# {symbol}\n{f.script()}" for symbol, f in functions.items()), suffix=".py")
