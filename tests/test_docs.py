"""The documentation is true: its programs run, its links lead somewhere, what it names exists."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sparsecc
from sparsecc.cli.parser import make_parser

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in ("bench", "docs", "docs/reference", "schedules") for path in ROOT.glob(f"{folder}/*.md")),
    ]
)
#: pages of others: nothing is asked of the network, so whoever adds one opens it, and writes it here
EXTERNAL = frozenset(
    {
        *(f"https://arxiv.org/abs/{number}" for number in ("1608.01409", "1911.08020", "2105.14713", "2310.06218")),
        "https://keepachangelog.com/en/1.1.0/",
        "https://semver.org/spec/v2.0.0.html",
    }
)
#: where a file may be that a page names
FOLDERS = (ROOT, ROOT / "sparsecc", ROOT / "sparsecc" / "build", ROOT / "sparsecc" / "build" / "csrc")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def code_spans(page: Path) -> list[str]:
    """Short pieces of code within the text, line breaks as spaces."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Arguments of every call of ``program`` in the page, placeholders left out."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()] + code_spans(page)
    for line in lines:
        words = shlex.split(line.partition(" #")[0]) if line.startswith(f"{program} ") else []
        if words and "..." not in words:
            yield words[1:]


def anchors(page: Path) -> set[str]:
    """What links to the page's headings end with."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the README's Python was run, from the first block to the last."""
    folder = tmp_path_factory.mktemp("readme")
    program = "\n".join(blocks(README, "python"))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sparse" in done.stdout
    return folder


def test_python_in_the_readme_runs(folder):
    assert {"model.so", "model.h", "model.pt2"} <= {path.name for path in folder.iterdir()}


def test_c_in_the_readme_runs(folder):
    (source,) = blocks(README, "c")
    (folder / "app.c").write_text(source)
    ((_, *flags),) = (shlex.split(block) for block in blocks(README, "sh") if block.startswith("cc "))
    compiler = (sys.executable, "-m", "ziglang", "cc")
    subprocess.run([*compiler, *flags], cwd=folder, check=True)
    done = subprocess.run(["./app"], cwd=folder, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"x86-64-v\d, \d+ steps, y\[0\] = -?[\d.e-]+\n", done.stdout)


@pages
def test_links_lead_somewhere(page):
    text = re.sub(r"^ {4,}.*$", "", prose(page), flags=re.MULTILINE)  # drawings
    assert not re.search(r"\]\[|<a |<img ", text), "links of another form, which nobody looks at"
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"\w+:", target):
            assert target in EXTERNAL, target
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_addresses_of_others_are_linked():
    """What is no link is in nobody's list; what is in the list is linked somewhere."""
    texts = [prose(page) for page in PAGES]
    assert {target for text in texts for target in re.findall(r"\]\((https:[^)]+)\)", text)} == EXTERNAL
    assert [
        found for text in texts for found in re.findall(r"(?<!\]\()https?://[^ )`]+", re.sub(r"`[^`]+`", "", text))
    ] == []


@pages
def test_make_targets_exist(page):
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for words in commands(page, "make") for word in words if re.fullmatch(r"[a-z-]+", word)}
    assert named <= known


@pages
def test_the_command_line_accepts_what_is_shown(page):
    for words in commands(page, "sparsecc"):
        make_parser().parse_args(words)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_exist(name):
    shapes = re.compile(r"[\w*/.-]*(/|\w\.(py|c|md|toml|txt|h\.in))")
    for span in code_spans(ROOT / name):
        if shapes.fullmatch(span) and not span.startswith("model"):
            assert any(True for folder in FOLDERS for _ in folder.glob(span.rstrip("/"))), span


def test_the_table_of_folders_is_complete():
    folders = {path.parent.name for path in ROOT.glob("sparsecc/*/__init__.py")}
    rows = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| `sparsecc/")]
    named = [folder for row in rows for folder in re.findall(r"`sparsecc/(\w+)/`", row.split("|")[1])]
    assert sorted(named) == sorted(folders)


def test_the_table_of_operators_is_up_to_date():
    made = runpy.run_path(str(ROOT / "docs" / "make_operators.py"))["text"]()
    assert (ROOT / "docs" / "operators.md").read_text() == made, "run: make docs"


def test_the_page_of_networks_is_made_of_what_was_found():
    made = runpy.run_path(str(ROOT / "docs" / "networks_page.py"))["text"]()
    assert (ROOT / "docs" / "networks.md").read_text() == made, "run: make docs"


def test_versions_agree():
    declared = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert declared is not None
    assert newest is not None
    assert declared[1] == newest[1] == sparsecc.__version__


def test_constraints_pin_every_direct_dependency():
    text = (ROOT / "pyproject.toml").read_text()
    project = text[text.index("[project]") : text.index("[project.scripts]")]
    wanted = set(re.findall(r'"([a-z-]+)[>=]=', project))
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert wanted
    assert wanted - pinned == set()
