"""Every block of code in the documentation is known: a test runs it, or a list says why none does.

``test_doc_python.py`` and ``test_doc_shell.py`` run them.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from doc_commands import parses
from doc_pages import PAGES, ROOT, Block, all_blocks, blocks_of, commands_of, lines_of, name_of, spans_of
from doc_runs import BEFORE, NOT_RUN

from sparsecc.target import resolve

#: page and language -> the test that runs its blocks, where those of ``test_doc_python.py`` and ``test_doc_shell.py``,
#: which take all that there are, do not
ELSEWHERE = {
    ("README.md", "python"): "test_docs.py::test_python_in_the_readme_runs",
    ("README.md", "c"): "test_docs.py::test_c_in_the_readme_runs",
    ("docs/services.md", "python"): "test_services.py::test_its_networks_are_the_models",
    ("docs/shapes.md", "c"): "test_doc_python.py::test_c_of_several_shapes",
    ("docs/raspberry-pi.md", "json"): "test_doc_blocks.py::test_targets_are_read",
}
#: run wherever they are
FOUND = ("python", "sh")
COMMANDS = sorted({(block.page, line) for block in all_blocks("sh") for line in lines_of(block)})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_have_a_language_that_is_run(page: Path) -> None:
    """Text is what programs print; nobody runs it, so it may be no command."""
    for block in blocks_of(page):
        held = block.language in (*FOUND, "text") or (block.page, block.language) in ELSEWHERE
        assert held, f"{block.page}: no test runs blocks of {block.language or 'no language'}"
        if block.language == "text":
            assert not re.match(r"(\w+=\S+ )*(\./|cc|cp|make|pip|python|sparsecc|ssh|\$)\b", block.text), block.text


def test_tests_that_are_named_exist() -> None:
    has = {(block.page, block.language) for block in all_blocks("python", "c", "json")}
    assert set(ELSEWHERE) <= has
    named = [*ELSEWHERE.values(), *(found for why in NOT_RUN.values() for found in re.findall(r"tests/(\w+\.py)", why))]
    for test in named:
        file, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / "tests" / file).read_text(), test


def test_what_is_not_run_is_in_the_pages() -> None:
    """And not much of it: the list has no command that is gone, and none without a reason."""
    lines = {line for _, line in COMMANDS}
    assert set(NOT_RUN) - lines == set()
    assert all(NOT_RUN.values())
    assert len(NOT_RUN) <= len(lines) // 2
    assert set(BEFORE) <= {page for page, _ in COMMANDS}


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line}" for page, line in COMMANDS])
def test_commands_are_parsed_in_full(page: str, line: str) -> None:
    for words in commands_of(line):
        assert parses(*words), f"{page}: {words}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_commands_in_the_text_are_parsed(page: Path) -> None:
    """Words in brackets may be left out, and dots stand for some. What was so in the past is no fault."""
    for span in spans_of(page):
        if re.match(r"python -m bench\b|python examples/|pip install ", span):
            shown = re.sub(r" \[(--.*?)\]", r" \1", span)
            assert "..." in shown or parses(*next(commands_of(shown))), span


@pytest.mark.parametrize("block", all_blocks("python"), ids=lambda block: block.page)
def test_python_is_python(block: Block) -> None:
    assert ast.parse(block.text).body


@pytest.mark.parametrize("block", all_blocks("json"), ids=lambda block: block.page)
def test_targets_are_read(block: Block, tmp_path: Path) -> None:
    """Files with a board of one's own: one or several in a block."""
    decoder, rest = json.JSONDecoder(), block.text.strip()
    while rest:
        entry, end = decoder.raw_decode(rest)
        path = tmp_path / "my_board.json"
        path.write_text(json.dumps(entry))
        assert resolve(str(path)).name == entry["name"]
        rest = rest[end:].strip()
