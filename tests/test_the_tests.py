"""Tests that would say nothing, or that say it of the machine, or of names that are nobody's business."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATCHES = {"setattr", "delattr", "object", "patch", "multiple"}
_CLOCKS = {"perf_counter", "monotonic", "time", "perf_counter_ns", "monotonic_ns", "time_ns"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls below a tree with the last part of the function's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


def patched_names(tree: ast.AST) -> Iterator[str]:
    """What a test puts something else in the place of, by its own name."""
    for function, call in calls(tree):
        if function in _PATCHES:
            texts = [a.value for a in call.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from (text.rpartition(".")[2] for text in texts)


def is_always_true(test: ast.expr) -> bool:
    """Lists and tuples that are never empty, whatever is in them, and generators."""
    if isinstance(test, ast.List | ast.Tuple):
        return not all(isinstance(element, ast.Starred) for element in test.elts)
    if isinstance(test, ast.ListComp):
        return not any(part.ifs for part in test.generators)
    return isinstance(test, ast.GeneratorExp)


def is_number(value: ast.expr) -> bool:
    """What a busy machine may well exceed."""
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


def faults(tree: ast.AST) -> list[str]:
    """What is wrong with a file of tests, with the line."""
    found = [f"patches the private name {n}" for n in patched_names(tree) if n.startswith("_") and not n.endswith("__")]
    for line, test in ((node.lineno, node.test) for node in ast.walk(tree) if isinstance(node, ast.Assert)):
        if is_always_true(test):
            found.append(f"line {line}: asserts that there is a list, not what is in it")
        # patience with another process ends at a deadline
        if any(name in _CLOCKS for name, _ in calls(test)) and not ast.unparse(test).endswith("deadline"):
            found.append(f"line {line}: asserts how long something took")
    hurried = (
        call.lineno for _, call in calls(tree) for k in call.keywords if k.arg == "timeout" and is_number(k.value)
    )
    found += [f"line {line}: waits for its own number of seconds, in the place of PATIENCE_S" for line in hurried]
    return found


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.rglob("*.py")), ids=lambda file: file.stem)
def test_tests_can_fail_and_look_at_no_clock(file: Path) -> None:
    assert faults(ast.parse(file.read_text())) == []


def test_files_stay_short() -> None:
    lengths = {path.stem: len(path.read_text().splitlines()) for path in Path(__file__).parent.rglob("*.py")}
    assert {file: lines for file, lines in lengths.items() if lines > 300} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("assert [x >= 0 for x in times]", 1),
        ("assert (1, 'two')", 1),
        ("assert [x for x in times if x >= 0]", 0),
        ("assert [*times]", 0),
        ("assert all(x >= 0 for x in times)", 0),
        ("assert time.perf_counter() - start < 0.5", 1),
        ("assert time.monotonic() < deadline", 0),
        ("subprocess.run(command, timeout=60)", 1),
        ("subprocess.run(command, timeout=PATIENCE_S)", 0),
        ("monkeypatch.setattr(module, '_private', 1)", 1),
        ("monkeypatch.setattr('sparsecc.a._private', 1)", 1),
        ("monkeypatch.setattr('sparsecc._tvm.public', 1)", 0),
        ("mock.patch('a._b')", 1),
        ("monkeypatch.setattr(module, '__file__', 1)", 0),
    ],
)
def test_the_check_itself(source: str, count: int) -> None:
    assert len(faults(ast.parse(source))) == count
