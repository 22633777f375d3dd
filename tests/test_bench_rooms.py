"""The benchmark's folders: which may import which, how long their files are, that every command is there."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from test_docs import PAGES, ROOT
from test_import_layers import MAX_LINES, imports_in

BENCH = ROOT / "bench"

#: folder or file of the benchmark -> what it may import of the others; only what stands above it
ROOMS: dict[str, set[str]] = {
    "command": set(),
    "results": {"command"},
    "machine": {"results"},
    "rivals": {"command"},
    "cells": {"command", "results", "rivals"},
    "running": {"cells", "machine", "results", "rivals"},
    "showing": {"results"},
    "judging": {"results", "showing"},
    "studies": {"cells", "command", "judging", "machine", "results", "rivals", "running", "showing"},
    "emulate": {"command", "rivals", "showing"},
    "arm": {"cells", "command", "emulate", "results", "showing", "studies"},
    "board": {"cells", "command", "results", "showing"},
    "__main__": {"cells", "command", "machine", "results", "rivals", "running", "showing"},
}
#: the history names what there was
NAMING = [page for page in (*PAGES, ROOT / "Makefile") if page.name != "CHANGELOG.md"]
#: the engines' environments, which are made there, are other people's
FILES = sorted(path for path in BENCH.rglob("*.py") if path.relative_to(BENCH).parts[0] != "environments")


def room_of(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def test_rooms_import_those_above_them():
    found: dict[str, set[str]] = {}
    for path in FILES:
        name = path.relative_to(BENCH).as_posix()
        for each in imports_in(ast.parse(path.read_text()), file=name):
            if each.module.startswith("bench.") and each.ours != room_of(name):
                found.setdefault(room_of(name), set()).add(each.ours)
    assert found == {room: used for room, used in ROOMS.items() if used}
    names = list(ROOMS)
    assert {(room, used) for i, room in enumerate(names) for used in ROOMS[room] if used not in names[:i]} == set()


def test_every_file_has_its_room():
    assert {room_of(path.relative_to(BENCH).as_posix()) for path in FILES} == {*ROOMS, "__init__"}


def test_files_stay_short():
    lengths = {path.relative_to(BENCH).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize("page", NAMING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_that_are_named_exist(page):
    for module in re.findall(r"python -m (bench[\w.]*\w)", page.read_text()):
        is_room = (ROOT / module.replace(".", "/") / "__main__.py").exists()
        found = importlib.util.find_spec(f"{module}.__main__" if is_room else module)
        assert found is not None, module
        assert found.origin is not None, module
        with open(found.origin) as source:
            assert 'if __name__ == "__main__":' in source.read(), module


def test_no_file_imports_itself_by_others():
    used = {name_of(path): imported_by(path) for path in FILES}
    left = dict(used)
    while free := [name for name, others in left.items() if not others & set(left)]:
        left = {name: others for name, others in left.items() if name not in free}
    assert left == {}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_by(path: Path) -> set[str]:
    """Modules, and what may be modules: ``from bench.rivals import files`` means both."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {name for node in nodes for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names))}
    return {name for name in names if name} - {name_of(path)}
