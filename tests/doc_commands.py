"""Commands of the documentation, parsed in full: every word must be one that the program takes."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NoReturn
from unittest.mock import patch

from doc_pages import ROOT

from sparsecc.cli.parser import make_parser

#: programs of other people, of a library's folder or of the system: whether they take the words only a run can tell
OTHERS = {".", "build/detector/detect", "build/model_example", "cc", "cd", "cmake", "scp", "sha256sum", "ssh"}
#: examples that import what only the test of services installs
_NOT_IMPORTED = "examples/services/"


class _Accepted(BaseException):
    """The words were parsed; the program goes no further."""


def accepts(program: Callable[[], object], words: Sequence[str]) -> bool:
    """Whether a program that uses argparse takes the words, which is known before it does anything."""
    take = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *given: Any, **options: Any) -> NoReturn:
        take(parser, *given, **options)
        raise _Accepted

    with patch.object(argparse.ArgumentParser, "parse_args", parse_args), patch.object(sys, "argv", ["-", *words]):
        try:
            program()
        except _Accepted:
            return True
        except SystemExit:
            return False
    return False


def _make(words: Sequence[str]) -> bool:
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return all(word in known or "=" in word for word in words)


def _sparsecc(words: Sequence[str]) -> bool:
    return accepts(lambda: make_parser().parse_args(list(words)), words)


def _python(words: Sequence[str]) -> bool:
    first, *rest = words
    if first == "-c":
        return ast.parse(rest[0]) is not None and len(rest) == 1
    if first == "-m":
        return _module(*rest)
    if first.endswith("_numpy.py"):  # of a library's folder
        return not rest
    return _script(first, rest)


def _module(name: str, *words: str) -> bool:
    if not (name.startswith("bench") and words):
        return find_spec(name) is not None
    return accepts(lambda: runpy.run_module(name, run_name="__main__"), words)


def _script(path: str, words: Sequence[str]) -> bool:
    if path.startswith(_NOT_IMPORTED):
        return all(f'"{word}"' in (ROOT / path).read_text() for word in words if word.startswith("-"))
    return accepts(lambda: runpy.run_path(str(ROOT / path), run_name="__main__"), words)


def _torchrun(words: Sequence[str]) -> bool:
    from torch.distributed.run import parse_args

    options = parse_args(list(words))
    return _script(options.training_script, options.training_script_args)


def _pip(words: Sequence[str]) -> bool:
    known = set(re.findall(r"^([a-z-]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    extras = {name for word in words for found in re.findall(r"\[([\w,-]+)\]", word) for name in found.split(",")}
    return words[0] == "install" and extras <= known


def _uvicorn(words: Sequence[str]) -> bool:
    _, folder, application, *_ = words
    module, _, name = application.partition(":")
    return f"\n{name} = " in (ROOT / folder / f"{module}.py").read_text()


def _cp(words: Sequence[str]) -> bool:
    *_, source, _ = words
    return source == "model.so" or (ROOT / source).exists()


_PARSERS: dict[str, Callable[[Sequence[str]], bool]] = {
    "cp": _cp, "make": _make, "pip": _pip, "python": _python, "python3": _python, "sparsecc": _sparsecc,
    "torchrun": _torchrun, "uvicorn": _uvicorn,
}  # fmt: skip


def parses(program: str, *words: str) -> bool:
    """Whether a program takes the words. Those that nobody knows are an error of the page."""
    name = program.removeprefix("triton-env/bin/").removeprefix("env/bin/")
    if name in _PARSERS:
        return _PARSERS[name](words)
    return name in OTHERS or name == "tritonserver" or name.startswith("./")
