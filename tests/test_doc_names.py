"""What the documentation names exists, and what exists is named: functions, options, commands in examples."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from doc_commands import parses
from doc_pages import PAGES, ROOT, commands_of, name_of, spans_of

import sparsecc
from sparsecc import prune
from sparsecc.errors import UserError
from sparsecc.pytorch.options import backend_options

EXAMPLES = sorted((ROOT / "examples").glob("**/*.py"))


def found(name: str) -> Any:
    """What a name with dots stands for."""
    first, *rest = name.split(".")
    value: Any = importlib.import_module(first)
    for i, part in enumerate(rest, 1):
        if not hasattr(value, part):
            importlib.import_module(".".join([first, *rest[:i]]))
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_names_in_the_text_exist(page: Path) -> None:
    for span in spans_of(page):
        for name in re.findall(r"(?<![\w.])sparsecc(?:\.[a-zA-Z]\w*)+(?![\w./])", span):
            assert found(name) is not None, name


def test_the_reference_is_complete() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text()
    names = [name.rpartition(".") for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    shown = [getattr(importlib.import_module(module), name) for module, _, name in names]
    public = {name: getattr(sparsecc, name) for name in dir(sparsecc) if not name.startswith("_")}
    public |= {f"prune.{name}": getattr(prune, name) for name in prune.__all__}
    modules = {"errors", "prune", "SparseccError"}  # the page of errors has all of them
    assert [name for name, value in public.items() if name not in modules and value not in shown] == []


def test_the_readme_names_all_options() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"`(\w+)`", text[text.index("explains the options: ") : text.index("of the library.")])
    shown = {"model", "target", "example_inputs"}  # which its first program has
    assert sorted(named) == sorted(set(inspect.signature(sparsecc.compile).parameters) - shown)


def test_the_page_of_services_names_all_options() -> None:
    with pytest.raises(UserError) as error:
        backend_options({"nothing": 1})
    known = re.findall(r"\w+", str(error.value).partition("expected some of ")[2].partition(";")[0])
    text = (ROOT / "docs" / "services.md").read_text()
    named = re.findall(r"`(\w+)`", text[text.index("`options` are those") : text.index("Ten networks of timm")])
    assert sorted(named) == sorted(["options", *known])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_that_examples_begin_with(path: Path) -> None:
    """Their words are taken, names of the user's own included."""
    lines = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
    for line in lines:
        if re.match(r" {4}(\w+=\S+ )*(python|torchrun|uvicorn) ", line) and "camera.py" not in line:
            (words,) = commands_of(re.split(r" {2,}", line.strip())[0])
            assert parses(*words), line
